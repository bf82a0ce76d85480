package engine

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestEgressGuard(t *testing.T) {
	t.Parallel()
	allowed, err := prefixes([]string{"10.20.0.0/16", "fd12::/16", "192.168.7.7"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		address      string
		plain, opted bool // let through without, and with allowed networks
	}{
		{"127.0.0.1:80", false, false},
		{"127.255.255.254:80", false, false},
		{"[::1]:80", false, false},
		{"[::ffff:127.0.0.1]:80", false, false},
		{"[::ffff:169.254.169.254]:80", false, false},
		{"[::127.0.0.1]:80", false, false},
		{"0.0.0.0:80", false, false},
		{"[::]:80", false, false},
		{"0.1.2.3:80", false, false},
		{"169.254.169.254:80", false, false},
		{"[fe80::1%eth0]:80", false, false},
		{"[fd00:ec2::254]:80", false, false},
		{"[fc00::1]:80", false, false},
		{"10.0.0.1:80", false, false},
		{"172.31.255.255:80", false, false},
		{"192.168.1.1:80", false, false},
		{"100.64.0.1:80", false, false},
		{"100.127.255.255:80", false, false},
		{"198.18.0.1:80", false, false},
		{"224.0.0.1:80", false, false},
		{"255.255.255.255:80", false, false},
		{"[ff02::1]:80", false, false},
		{"[64:ff9b::7f00:1]:80", false, false},
		{"[2002:7f00:1::]:80", false, false},
		{"[2001:0:1::1]:80", false, false},
		{"not an address", false, false},
		{"localhost:80", false, false},
		{"10.20.255.1:80", false, true},
		{"[::ffff:10.20.0.1]:80", false, true},
		{"10.21.0.1:80", false, false},
		{"[fd12::5]:80", false, true},
		{"192.168.7.7:80", false, true},
		{"192.168.7.8:80", false, false},
		{"8.8.8.8:443", true, true},
		{"172.32.0.1:443", true, true},
		{"100.63.255.255:443", true, true},
		{"100.128.0.1:443", true, true},
		{"[2606:4700::1111]:443", true, true},
	}
	plain := &egressGuard{refused: specialNetworks()}
	opted := &egressGuard{refused: specialNetworks(), allowed: allowed}
	for _, tt := range tests {
		if err := plain.check(tt.address); (err == nil) != tt.plain {
			t.Errorf("check(%s) = %v, want let through: %v", tt.address, err, tt.plain)
		}
		if err := opted.check(tt.address); (err == nil) != tt.opted {
			t.Errorf("check(%s) with allowed networks = %v, want let through: %v", tt.address, err, tt.opted)
		}
	}
}

// inside is a server that nobody may reach who was not let in.
func inside(t *testing.T, h http.HandlerFunc) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var hits atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		h(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv, &hits
}

func get(ctx context.Context, t *testing.T, c *http.Client, url string) (*http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, deadline)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err == nil {
		t.Cleanup(func() { _ = res.Body.Close() })
	}
	return res, err
}

// However the way inside is written, the address that is dialed decides.
func TestEgressClientStaysOutside(t *testing.T) {
	t.Parallel()
	srv, hits := inside(t, func(http.ResponseWriter, *http.Request) {})
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := newEgressClient(nil)
	for _, host := range []string{
		"127.0.0.1", "localhost", "localhost.", "LOCALHOST", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]",
		"2130706433", "0x7f000001", "017700000001", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1",
		"example.com@127.0.0.1", "user:secret@localhost", "127.0.0.1%00.example.com",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+":"+port+"/", http.NoBody)
		if err != nil {
			continue // no such URL can be asked for at all
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // for names that no server knows
		res, err := c.Do(req.WithContext(ctx))
		cancel()
		if err == nil {
			_ = res.Body.Close()
			t.Errorf("%s was reached", host)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("the server inside was asked %d times", n)
	}
	if _, err := get(t.Context(), t, c, "file:///etc/passwd"); err == nil {
		t.Error("file:///etc/passwd was read")
	}
}

// A name that leads to loopback is refused for where it leads, whatever it was
// called: this is what rebinding comes down to at the moment of the dial.
func TestEgressClientChecksWhatItDials(t *testing.T) {
	t.Parallel()
	srv, hits := inside(t, func(http.ResponseWriter, *http.Request) {})
	_, err := get(t.Context(), t, newEgressClient(nil), strings.Replace(srv.URL, "127.0.0.1", "localhost", 1))
	if err == nil || !strings.Contains(err.Error(), "egress.allowed_cidrs") {
		t.Errorf("a name of loopback: %v, want the guard's refusal with its hint", err)
	}
	if hits.Load() != 0 {
		t.Error("the server inside was asked")
	}
}

// The operator's own server may be private where its address itself stands in the
// configuration; a name that leads there is refused as ever, and flows get
// nothing with it.
func TestOwnEgressClientReachesWhatIsNamed(t *testing.T) {
	t.Parallel()
	srv, hits := inside(t, func(http.ResponseWriter, *http.Request) {})
	byName := strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
	if _, err := get(t.Context(), t, newOwnEgressClient(nil, srv.URL), srv.URL); err != nil || hits.Load() != 1 {
		t.Errorf("the named address: %v", err)
	}
	if _, err := get(t.Context(), t, newOwnEgressClient(nil, byName), srv.URL); err != nil || hits.Load() != 2 {
		t.Errorf("localhost: %v", err)
	}
	for _, named := range []string{"http://nlu.example:80", "http://127.0.0.2:80", "http://10.0.0.1", "http://[::1", ""} {
		if _, err := get(t.Context(), t, newOwnEgressClient(nil, named), srv.URL); err == nil || !strings.Contains(err.Error(), "egress.allowed_cidrs") {
			t.Errorf("with %s in the configuration another address: %v, want the guard's refusal", named, err)
		}
	}
	allowed := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	if _, err := get(t.Context(), t, newOwnEgressClient(allowed, "http://nlu.example"), srv.URL); err != nil {
		t.Errorf("an allowed network: %v", err)
	}
}

func TestEgressClientFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	target, targetHits := inside(t, func(http.ResponseWriter, *http.Request) {})
	srv, _ := inside(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target.URL, http.StatusFound)
	})
	res, err := get(t.Context(), t, newEgressClient([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}), srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusFound || targetHits.Load() != 0 {
		t.Errorf("status %d and %d requests to the target, want the 302 itself and none", res.StatusCode, targetHits.Load())
	}
}

func TestEgressClientUsesNoProxy(t *testing.T) {
	proxy, proxyHits := inside(t, func(http.ResponseWriter, *http.Request) {})
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	t.Setenv("NO_PROXY", "")
	c := newEgressClient([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	transport, ok := c.Transport.(traceparent)
	if !ok || transport.Proxy != nil {
		t.Fatalf("the transport asks for a proxy")
	}
	// Nothing answers at this name; through the proxy, anything would.
	if _, err := get(t.Context(), t, c, "http://nowhere.invalid/"); err == nil {
		t.Error("a name that does not exist was reached")
	}
	if proxyHits.Load() != 0 {
		t.Error("the proxy was used")
	}
}

func TestEgressClientBoundsHeaders(t *testing.T) {
	t.Parallel()
	srv, _ := inside(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 2*egressMaxHeader))
	})
	_, err := get(t.Context(), t, newEgressClient([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}), srv.URL)
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an answer with a header over the limit: %v, want a refusal", err)
	}
}
