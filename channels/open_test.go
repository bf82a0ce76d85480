package channels

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func fetched(name, body string) Fetched {
	return Fetched{Name: name, Body: io.NopCloser(strings.NewReader(body))}
}

func TestWhatStandsInAFilesPlace(t *testing.T) {
	t.Parallel()
	long := `{"a":"` + strings.Repeat("x", maxSaid) + `"}`
	for _, c := range []struct {
		name, body string
		instead    bool
	}{
		{"", `{"errcode":40007}`, true},
		{"", "\n {} ", true},
		{"a.json", `{"errcode":40007}`, false},
		{"", `{"errcode":40007`, false},
		{"", "", false},
		{"", "\xff\xd8\xff", false},
		{"", "[]", false},
		{"", long, false},
	} {
		f := fetched(c.name, c.body)
		said, err := f.Instead()
		if err != nil || (said != nil) != c.instead || c.instead && string(said) != c.body {
			t.Errorf("%q as %q: instead %q, %v", c.body, c.name, said, err)
		}
		if c.instead {
			continue
		}
		if b, err := io.ReadAll(f.Body); err != nil || string(b) != c.body {
			t.Errorf("%d bytes of %d are left, %v", len(b), len(c.body), err)
		}
	}
	broken := Fetched{Body: io.NopCloser(io.MultiReader(strings.NewReader("{"), severed{}))}
	if _, err := broken.Instead(); ClassOf(err) != Retry {
		t.Errorf("a body that breaks: %v", err)
	}
}

type severed struct{}

func (severed) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// TestRedirectsCarryNoSecret: neither the header with the token nor the address
// that had it goes to another host.
func TestRedirectsCarryNoSecret(t *testing.T) {
	t.Parallel()
	var got http.Header
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		_, _ = io.WriteString(w, "file")
	}))
	defer other.Close()
	first := httptest.NewServer(http.RedirectHandler(strings.Replace(other.URL, "127.0.0.1", "localhost", 1), http.StatusFound))
	defer first.Close()
	f, err := Open(t.Context(), NewFetcher(&http.Client{}), Call{
		URL: first.URL + "/get?access_token=canary", Header: http.Header{"Authorization": {"Bearer canary"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Body.Close() }()
	for name, values := range got {
		if strings.Contains(strings.Join(values, " "), "canary") {
			t.Errorf("the other host got %s: %s", name, values)
		}
	}
}

// TestFailureSaysWhy: what stands beside a status that is no success is kept, up
// to a bound.
func TestFailureSaysWhy(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, strings.Repeat("x", 2*maxSaid))
	}))
	defer s.Close()
	f, err := Open(t.Context(), NewFetcher(&http.Client{}), Call{URL: s.URL})
	if ClassOf(err) != Permanent || len(f.Said) != maxSaid || f.Body != nil {
		t.Errorf("Open = %d bytes said, %v", len(f.Said), err)
	}
}
