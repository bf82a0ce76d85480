package main

import (
	"encoding/json"
	"testing"

	"github.com/colloquyhq/colloquy/cmd/colloquy/webhooks"
)

// Every delivery that is counted was acknowledged as durable, and none failed. Node
// and load share the cores unless it is said otherwise.
func TestBenchWebhook(t *testing.T) {
	t.Parallel()
	for name, more := range map[string][]string{"together": nil, "apart": {"--apart"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, code := runProgram(t, append([]string{
				"bench", "webhook", "--json", "--connections", "4", "--people", "8", "--duration", "500ms", "--warmup", "100ms", "--dir", t.TempDir(),
			}, more...)...)
			var r webhooks.Result
			if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
				t.Fatalf("exit status %d, %v:\n%s", code, err, out)
			}
			if r.Bench != "webhook" || r.Connections != 4 || r.Deliveries == 0 || r.DeliveriesPS <= 0 || r.P50 <= 0 || r.P99 < r.P50 || r.Errors != 0 || r.Version != "1.2.3-test" {
				t.Errorf("result %+v", r)
			}
			if r.Apart != (more != nil) {
				t.Errorf("apart is %v with the flags %q", r.Apart, more)
			}
		})
	}
}
