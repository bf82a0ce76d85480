package engine

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"

	"github.com/colloquyhq/colloquy/channels"
)

// The limits of outgoing connections.
const (
	egressDialTimeout   = 5 * time.Second
	egressHeaderTimeout = 15 * time.Second
	egressIdleTimeout   = 60 * time.Second
	egressPerHost       = 64
	egressMaxHeader     = 64 << 10
)

// specialNetworks are addresses that lead back inside: loopback, private and
// link-local networks, carrier-grade NAT, multicast, documentation, benchmarks,
// and what translates to IPv4 and could hide one of them. Source: IANA special
// purpose address registries.
func specialNetworks() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
		"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"224.0.0.0/4", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
		"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// egressGuard decides which addresses the server itself may connect to. It is
// asked with the address that is really dialed, after name resolution, so a name
// that changes its mind between check and use gains nothing.
type egressGuard struct{ refused, allowed []netip.Prefix }

func (g *egressGuard) check(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("egress: %q is no address", address)
	}
	ip := ap.Addr().Unmap().WithZone("")
	for _, p := range g.allowed {
		if p.Contains(ip) {
			return nil
		}
	}
	for _, p := range g.refused {
		if p.Contains(ip) {
			return fmt.Errorf("egress: %s: %w; add it to egress.allowed_cidrs if it is meant", ip, channels.ErrAddressRefused)
		}
	}
	return nil
}

// newOwnEgressClient makes the HTTP client for one server that the operator names
// in the configuration. Beyond what flows may reach it lets through the address
// that stands there itself, and loopback for localhost: who writes 127.0.0.1
// means it, and flows need not get it with that.
func newOwnEgressClient(allowed []netip.Prefix, server string) *http.Client {
	u, err := url.Parse(server)
	if err != nil {
		return newEgressClient(allowed)
	}
	allowed = slices.Clone(allowed)
	host := u.Hostname()
	if host == "localhost" {
		allowed = append(allowed, netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128"))
	}
	if a, err := netip.ParseAddr(host); err == nil {
		a = a.Unmap().WithZone("")
		allowed = append(allowed, netip.PrefixFrom(a, a.BitLen()))
	}
	return newEgressClient(allowed)
}

// newEgressDialer connects only where the guard lets it.
func newEgressDialer(allowed []netip.Prefix) *net.Dialer {
	guard := &egressGuard{refused: specialNetworks(), allowed: allowed}
	return &net.Dialer{
		Timeout: egressDialTimeout,
		Control: func(_, address string, _ syscall.RawConn) error { return guard.check(address) },
	}
}

// newEgressClient makes the HTTP client for flows and callbacks. It uses no
// proxy from the environment, follows no redirect, and connects only where the
// guard lets it.
func newEgressClient(allowed []netip.Prefix) *http.Client {
	return &http.Client{
		Transport: traceparent{&http.Transport{
			DialContext: newEgressDialer(allowed).DialContext, TLSHandshakeTimeout: egressDialTimeout, ResponseHeaderTimeout: egressHeaderTimeout,
			IdleConnTimeout: egressIdleTimeout, MaxIdleConnsPerHost: egressPerHost, MaxConnsPerHost: egressPerHost,
			MaxResponseHeaderBytes: egressMaxHeader, ForceAttemptHTTP2: true,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
