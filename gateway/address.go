package gateway

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// originSelf stands in an inbox's list for the origin of this server.
const originSelf = "self"

// peerOf gives the address that a request comes from. X-Forwarded-For counts
// only when the peer is a trusted proxy, and then the nearest address that is
// not one itself; everything further left can be forged.
func (g *Gateway) peerOf(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	peer := ap.Addr().Unmap()
	if !g.trusts(peer) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		a, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		if peer = a.Unmap(); !g.trusts(peer) {
			break
		}
	}
	return peer
}

func (g *Gateway) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(g.opts.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// isHTTPS reports whether the browser spoke TLS, to us or to a trusted proxy.
func (g *Gateway) isHTTPS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && g.trusts(ap.Addr().Unmap()) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// sameOrigin reports whether an Origin header names this server as the
// request addressed it. "null" and what is not scheme://host never do.
func (g *Gateway) sameOrigin(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host {
		return false
	}
	want := "http"
	if g.isHTTPS(r) {
		want = "https"
	}
	return u.Scheme == want && strings.EqualFold(u.Host, r.Host)
}

// allowsOrigin reports whether pages of an origin may use an inbox. Origins
// are compared as a whole: no prefix, suffix or pattern. This server's own
// pages always may: the widget's frame is one of them, and who may frame it is
// said by its frame-ancestors.
func allowsOrigin(in *conversation.Inbox, origin string, self bool) bool {
	return self || origin != "" && origin != "null" && origin != originSelf && slices.Contains(in.Origins, origin)
}

// anyInboxAllows is the check for requests that do not say their inbox yet.
func (g *Gateway) anyInboxAllows(r *http.Request, origin string) bool {
	self := g.sameOrigin(r, origin)
	if self {
		return true
	}
	inboxes := g.opts.Inboxes.Inboxes()
	return slices.ContainsFunc(inboxes, func(in conversation.Inbox) bool { return allowsOrigin(&in, origin, false) })
}

// validOrigin reports whether s can stand in an inbox's list.
func validOrigin(s string) bool {
	if s == originSelf {
		return true
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && s == u.Scheme+"://"+strings.ToLower(u.Host) &&
		strings.Trim(u.Host, "abcdefghijklmnopqrstuvwxyz0123456789-.:[]") == ""
}
