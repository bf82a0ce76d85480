package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colloquyhq/colloquy/intent"
	"github.com/colloquyhq/colloquy/intent/remote"
	"github.com/colloquyhq/colloquy/intent/remote/conformance"
)

// knowing is a backend that knows the titles of the shop's pack by heart, and
// keeps the protocol.
func knowing(t *testing.T) *httptest.Server {
	t.Helper()
	l, err := intent.Open(intent.Options{})
	if err != nil {
		t.Fatal(err)
	}
	samples, err := packSamples(l, []string{"ecommerce"})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for _, s := range samples {
		known[s.Text] = s.Intent
	}
	refuse := func(w http.ResponseWriter, status int) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"error":{"code":"bad_request","message":"no"}}`)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		var q struct {
			Utterances []*struct {
				Text  *string
				Packs []string
			}
		}
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<20)).Decode(&q)
		if r.URL.Path != remote.Path {
			refuse(w, http.StatusNotFound)
			return
		}
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			refuse(w, http.StatusUnauthorized)
			return
		}
		if err != nil || r.Method != http.MethodPost || len(q.Utterances) == 0 || len(q.Utterances) > remote.MaxBatch {
			refuse(w, http.StatusBadRequest)
			return
		}
		var results []string
		for _, u := range q.Utterances {
			switch {
			case u == nil || u.Text == nil:
				refuse(w, http.StatusBadRequest)
				return
			case strings.Join(u.Packs, ",") != "ecommerce":
				results = append(results, `{"error":{"code":"unknown_pack","message":"not learned"}}`)
			case known[*u.Text] == "":
				results = append(results, `{"candidates":[]}`)
			default:
				results = append(results, fmt.Sprintf(`{"candidates":[{"intent":%q,"confidence":0.9%d}]}`, known[*u.Text], len(*u.Text)%10))
			}
		}
		_, _ = io.WriteString(w, `{"model":"titles","version":"1","results":[`+strings.Join(results, ",")+`]}`)
	}))
	t.Cleanup(srv.Close)
	return srv
}

type measuredReport struct {
	conformance.Report

	Measured conformance.Measured
}

func TestIntentConformance(t *testing.T) {
	srv := knowing(t)
	conformance := func(args ...string) (string, int) {
		t.Helper()
		var out, problems bytes.Buffer
		code := run(t.Context(), append([]string{"intent", "conformance"}, args...), []string{"COLLOQUY_INTENT_HTTP_TOKEN=s3cret"}, &out, &problems)
		return out.String() + problems.String(), code
	}
	data := filepath.Join(t.TempDir(), "ask.jsonl")
	lines := strings.Repeat(`{"text":"no title","intent":"track_order"}`+"\n", 3)
	if err := os.WriteFile(data, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := conformance(srv.URL, "--pack", "ecommerce", "--p99", "20s", "--timeout", "20s", "--json", "--data", data)
	var report measuredReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitOK || report.Failed != 0 || len(report.Checks) < 30 {
		t.Fatalf("status %d, %v:\n%s", code, err, out)
	}
	if report.Model != "titles@1" || report.Latency.Calls == 0 || report.Measured.Questions != 3 || report.Measured.Declined != 3 {
		t.Errorf("report = %+v", report)
	}

	out, code = conformance(srv.URL+"/elsewhere", "--pack", "ecommerce")
	if code != exitFailed || !strings.Contains(out, "FAILED  reachable") || !strings.Contains(out, "0 of 1 checks passed") {
		t.Errorf("a wrong address: status %d\n%s", code, out)
	}
	for _, bad := range [][]string{
		{"ftp://x", "--pack", "ecommerce"}, {srv.URL}, {"--pack", "ecommerce"},
	} {
		if out, code := conformance(bad...); code != exitUsage {
			t.Errorf("%v: status %d, want %d\n%s", bad, code, exitUsage, out)
		}
	}
	if out, code := conformance(srv.URL, "--pack", "nowhere"); code != exitFailed {
		t.Errorf("a pack that is not there: status %d\n%s", code, out)
	}
}
