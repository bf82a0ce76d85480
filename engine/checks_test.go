package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/persistence"
)

func TestReadyzSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		check string
		want  string
		spoil func(*Options)
	}{
		{"fsync", "99th percentile", func(o *Options) { o.Config.Health.FsyncP99 = time.Nanosecond }},
		{"disk", "bytes of disk are free", func(o *Options) { o.Config.Health.DiskFreeBytes = 1 << 62 }},
	}
	for _, tt := range tests {
		t.Run(tt.check, func(t *testing.T) {
			t.Parallel()
			o := quietOptions(t, io.Discard)
			tt.spoil(&o)
			e, _ := serving(t, o)
			putInbox(t, e, conversation.Inbox{ID: "house", Name: "House", Lang: "en"}) // something to sync
			var body string
			eventually(t, tt.check+" is told", func() bool {
				var status int
				status, body = fetch(t, "http://"+e.OpsAddr()+"/readyz?verbose")
				return status == http.StatusServiceUnavailable && strings.Contains(body, "[-] "+tt.check+": ")
			})
			if !strings.Contains(body, tt.want) || !strings.HasSuffix(body, "not ready\n") || !strings.Contains(body, "[+] serving: ok") {
				t.Errorf("/readyz?verbose:\n%s\nwant only %s, with %q", body, tt.check, tt.want)
			}
			if status, body := fetch(t, "http://"+e.OpsAddr()+"/livez"); status != http.StatusOK {
				t.Errorf("/livez = %d %q of a node that is alive", status, body)
			}
		})
	}
}

// A pack that is broken while the node runs is told, and its last good version
// answers until it is repaired.
func TestReadyzTellsABadPack(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile(filepath.Join("testdata", "packs", "house.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	o := quietOptions(t, io.Discard)
	o.Config.Packs.Dir = t.TempDir()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(o.Config.Packs.Dir, "house.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(string(good))
	e, _ := serving(t, o)
	putInbox(t, e, conversation.Inbox{ID: "house", Name: "House", Lang: "en", Packs: []string{"house"}})
	url := "http://" + e.OpsAddr() + "/readyz?verbose"
	if status, body := fetch(t, url); status != http.StatusOK || !strings.Contains(body, "[+] packs: ok") {
		t.Fatalf("/readyz = %d:\n%s", status, body)
	}
	write(string(good) + "\nnonsense: true\n")
	if _, err := e.Library().Reload(t.Context()); err == nil {
		t.Error("Reload of a bad pack = nil")
	}
	status, body := fetch(t, url)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "[-] packs: pack house: ") || !strings.Contains(body, "nonsense") {
		t.Errorf("/readyz = %d:\n%s", status, body)
	}
	if r := say(t, e, visitor("house", "when are you open")); len(r.Replies) != 1 {
		t.Errorf("%d replies from the last good version, want one", len(r.Replies))
	}
	write(string(good))
	if _, err := e.Library().Reload(t.Context()); err != nil {
		t.Error(err)
	}
	if status, body := fetch(t, url); status != http.StatusOK {
		t.Errorf("/readyz after the repair = %d:\n%s", status, body)
	}
}

// Before and after it serves, a node is not ready, and says which of the two.
func TestReadyzBeforeAndAfter(t *testing.T) {
	t.Parallel()
	e, err := New(quietOptions(t, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	reason := func() string {
		for _, r := range e.Health().Run(t.Context()) {
			if r.Name == "serving" && r.Err != nil {
				return r.Err.Error()
			}
		}
		return ""
	}
	if got := reason(); !strings.Contains(got, "starting") {
		t.Errorf("before Run: %q", got)
	}
	stop := run(t, e)
	if got := reason(); got != "" {
		t.Errorf("while it serves: %q", got)
	}
	own := errors.New("the till is empty")
	e.Health().Add("till", func(context.Context) error { return own })
	if _, body := fetch(t, "http://"+e.OpsAddr()+"/readyz?verbose"); !strings.Contains(body, "[-] till: the till is empty") {
		t.Errorf("/readyz?verbose does not ask an own check:\n%s", body)
	}
	if err := stop(); err != nil {
		t.Errorf("Run = %v", err)
	}
	if got := reason(); !strings.Contains(got, "going down") {
		t.Errorf("after Run: %q", got)
	}
}

// What keeps a node from storing, and from showing what is new, is a sentence.
func TestChecksOfTheJournal(t *testing.T) {
	t.Parallel()
	const limit = 5 * time.Second
	well := persistence.Health{Quorum: true, Voters: 3, Lag: maxLag, LagTime: limit}
	tests := map[string]struct {
		spoil        func(*persistence.Health)
		journal, lag string
	}{
		"well":           {spoil: func(*persistence.Health) {}},
		"disk failed":    {spoil: func(h *persistence.Health) { h.Failed = true }, journal: "the disk failed; the node must be restarted, or replaced"},
		"no majority":    {spoil: func(h *persistence.Health) { h.Quorum = false }, journal: "no leader takes writes: this node reaches no majority of 3 voters"},
		"silent leader":  {spoil: func(h *persistence.Health) { h.LagTime += time.Millisecond }, lag: "nothing was heard of the leader for 5.001s"},
		"entries behind": {spoil: func(h *persistence.Health) { h.Lag++ }, lag: "65537 entries are committed and not applied here, the limit is 65536"},
	}
	for name, tt := range tests {
		h := well
		tt.spoil(&h)
		for check, c := range map[string]struct {
			err  error
			want string
		}{"journal": {journalCheck(h), tt.journal}, "lag": {lagCheck(h, limit), tt.lag}} {
			if got := fmt.Sprint(c.err); got != c.want && (c.err != nil || c.want != "") {
				t.Errorf("%s: check %s says %q, want %q", name, check, got, c.want)
			}
		}
	}
}
