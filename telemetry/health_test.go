package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

func TestReadyTellsTheReason(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is full")
	h := NewHealth()
	h.Add("journal", func(context.Context) error { return nil })
	h.Add("disk", func(context.Context) error { return broken })
	handler := OpsHandler(NewRegistry("test"), h)
	if code, body := get(t, handler, "/readyz"); code != 503 || strings.Contains(body, "disk") {
		t.Errorf("/readyz = %d %q, want 503 without reasons", code, body)
	}
	code, body := get(t, handler, "/readyz?verbose")
	if code != 503 || !strings.Contains(body, "[+] journal: ok") || !strings.Contains(body, "[-] disk: the disk is full") {
		t.Errorf("/readyz?verbose = %d %q", code, body)
	}
	h.Add("disk", func(context.Context) error { return nil })
	if code, body := get(t, handler, "/readyz"); code != 200 || body != "ready\n" {
		t.Errorf("/readyz = %d %q after the repair, want 200", code, body)
	}
}

func TestDegradedIsShownAndReady(t *testing.T) {
	t.Parallel()
	h := NewHealth()
	h.Add("packs", func(context.Context) error { return Degraded(errors.New("a pack has a mistake")) })
	handler := OpsHandler(NewRegistry("test"), h)
	code, body := get(t, handler, "/readyz?verbose")
	if code != 200 || !strings.Contains(body, "[!] packs: a pack has a mistake") || !strings.HasSuffix(body, "\nready\n") {
		t.Errorf("/readyz?verbose = %d %q, want 200 and the reason", code, body)
	}
	h.Add("disk", func(context.Context) error { return errors.New("full") })
	if code, _ := get(t, handler, "/readyz"); code != 503 {
		t.Errorf("/readyz = %d with another check that fails, want 503", code)
	}
}

func TestHangingCheckIsAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		h := NewHealth()
		h.Add("slow", func(context.Context) error { <-never; return nil })
		if r := h.Run(t.Context()); r[0].Err == nil {
			t.Error("a check that never answers passed")
		}
		close(never)
	})
}

func TestMetricsAreServedAndClean(t *testing.T) {
	t.Parallel()
	reg := NewRegistry("v1")
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	if code, body := get(t, OpsHandler(reg, NewHealth()), "/metrics"); code != 200 || !strings.Contains(body, `colloquy_build_info{goversion="go`) {
		t.Errorf("/metrics = %d without build info", code)
	}
	if code, _ := get(t, OpsHandler(reg, NewHealth()), "/livez"); code != 200 {
		t.Errorf("/livez = %d, want 200", code)
	}
}

func TestNewLoggerChecksItsSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format LogFormat
		level  string
		ok     bool
	}{{"json", "info", true}, {"text", "debug", true}, {"", "", true}, {"xml", "info", false}, {"json", "loud", false}} {
		if _, err := NewLogger(io.Discard, c.format, c.level); (err == nil) != c.ok {
			t.Errorf("NewLogger(%q, %q) = %v, want ok %v", c.format, c.level, err, c.ok)
		}
	}
	var b bytes.Buffer
	log, _ := NewLogger(&b, LogJSON, "warn")
	log.Info("quiet")
	log.Warn("loud")
	if !strings.Contains(b.String(), `"msg":"loud"`) || strings.Contains(b.String(), "quiet") {
		t.Errorf("log = %q", b.String())
	}
}
