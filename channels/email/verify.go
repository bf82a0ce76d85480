package email

import (
	"strings"

	"github.com/emersion/go-msgauth/authres"
)

// verdict is whether the account's own mail server could tell that a mail comes
// from where its sender's address belongs.
type verdict string

const (
	verifiedYes     verdict = "yes"
	verifiedNo      verdict = "no"      // the server found that it does not
	verifiedUnknown verdict = "unknown" // nobody looked, or nothing can be said
)

// maxAuthResults bounds how many headers are read; anybody can write more.
const maxAuthResults = 20

// verify reads the results of the server that calls itself authServ. Results of
// others are anybody's word: a server that is asked to state its own takes away
// what came with its name from outside (RFC 8601, 5).
func (m *message) verify(authServ string) {
	m.verified = verifiedUnknown
	_, domain, ok := cutLast(m.from, '@')
	if !ok || authServ == "" {
		return
	}
	for i, v := range m.header.Values("Authentication-Results") {
		id, results, err := authres.Parse(v)
		if i >= maxAuthResults {
			return
		}
		if name, _, _ := strings.Cut(strings.TrimSpace(id), " "); err != nil || !strings.EqualFold(name, authServ) {
			continue
		}
		m.verified = judge(results, domain)
		return // the newest stands first
	}
}

// judge draws the conclusion for a sender's domain: DMARC says it; without it, a
// signature or the server's address has to be that domain's.
func judge(results []authres.Result, domain string) verdict {
	out := verifiedUnknown
	for _, r := range results {
		switch r := r.(type) {
		case *authres.DMARCResult:
			switch r.Value {
			case authres.ResultPass:
				return verifiedYes
			case authres.ResultFail:
				return verifiedNo
			}
		case *authres.DKIMResult:
			if r.Value == authres.ResultPass && aligned(r.Domain, domain) {
				out = verifiedYes
			}
		case *authres.SPFResult:
			_, from, ok := cutLast(r.From, '@')
			if !ok {
				from = r.From
			}
			switch {
			case r.Value == authres.ResultPass && aligned(from, domain):
				out = verifiedYes
			case r.Value == authres.ResultFail && out == verifiedUnknown:
				out = verifiedNo
			}
		}
	}
	return out
}

// aligned reports whether a result about one domain speaks for another: the same,
// or one below it.
func aligned(of, domain string) bool {
	of, domain = strings.ToLower(of), strings.ToLower(domain)
	return of != "" && (of == domain || strings.HasSuffix(of, "."+domain))
}
