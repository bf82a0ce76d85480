package flaky

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// maxCall bounds what is read of a call.
const maxCall = 1 << 20

// provider is the Cloud API of WhatsApp, as far as sending goes, with faults. It
// keeps a ledger of what it took.
type provider struct {
	seed   uint64
	faults []fault

	mu struct {
		sync.Mutex
		attempts map[string]int      // by text
		taken    map[string][]string // texts by person, in order
		counted  map[string]int      // by fault
		calls    int
	}
}

func newProvider(seed uint64) *provider {
	p := &provider{seed: seed, faults: faults()}
	p.mu.attempts, p.mu.taken, p.mu.counted = make(map[string]int), make(map[string][]string), make(map[string]int)
	return p
}

// ServeHTTP takes a call.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if answer := p.early(); answer != nil {
		answer(w, r)
		return
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxCall))
	var call struct {
		To   string `json:"to"`
		Text struct {
			Body string `json:"body"`
		} `json:"text"`
	}
	if err != nil || json.Unmarshal(raw, &call) != nil || call.To == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f := p.enter(call.To, call.Text.Body)
	if f != nil {
		f.answer(w, r)
		return
	}
	_, _ = fmt.Fprintf(w, `{"messages":[{"id":"wamid.%s"}]}`, call.Text.Body)
}

// How often a call is not even read.
const (
	resetEvery   = 211
	silenceEvery = 4001
)

const (
	faultEarlyReset   = "unknown: reset before the body"
	faultEarlySilence = "unknown: no answer before the body"
)

// early counts a call and says how it is treated without being read; nil = it is
// read.
func (p *provider) early() func(http.ResponseWriter, *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.calls++
	switch {
	case p.mu.calls%resetEvery == 0:
		p.mu.counted[faultEarlyReset]++
		return reset
	case p.mu.calls%silenceEvery == 0:
		p.mu.counted[faultEarlySilence]++
		return silence
	}
	return nil
}

// enter writes an attempt into the ledger and says how it is answered.
func (p *provider) enter(to, text string) *fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.attempts[text]++
	f := faultOf(p.faults, p.seed, text, p.mu.attempts[text])
	if f == nil || f.took {
		p.mu.taken[to] = append(p.mu.taken[to], text)
	}
	if f != nil {
		p.mu.counted[f.name]++
	}
	return f
}

// ledger gives what was taken of a person, in order.
func (p *provider) ledger(to string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.taken[to]
}

// counts gives how often each fault happened, and all calls.
func (p *provider) counts() (byFault map[string]int, calls int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	byFault = map[string]int{faultEarlyReset: p.mu.counted[faultEarlyReset], faultEarlySilence: p.mu.counted[faultEarlySilence]}
	for i := range p.faults {
		byFault[p.faults[i].name] = p.mu.counted[p.faults[i].name]
	}
	return byFault, p.mu.calls
}
