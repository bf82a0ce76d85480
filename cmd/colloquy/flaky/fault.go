package flaky

import (
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"time"
)

// fault is one way in which the provider treats a call.
type fault struct {
	name   string
	weight int  // of 10,000 first attempts
	took   bool // the provider has the message all the same
	first  bool // only of first attempts: a repetition waits for minutes
	answer func(w http.ResponseWriter, r *http.Request)
}

// faults lists all of them: each class of the error table, by the provider's
// code, by status alone, and by what happens to the connection.
func faults() []fault {
	return []fault{
		{name: "retry: code 131000", weight: 250, answer: code(http.StatusInternalServerError, 131000)},
		{name: "retry: status 503", weight: 150, answer: status(http.StatusServiceUnavailable)},
		{name: "auth: code 190", weight: 15, first: true, answer: code(http.StatusUnauthorized, 190)},
		{name: "auth: status 403", weight: 15, first: true, answer: status(http.StatusForbidden)},
		{name: "limited: this person", weight: 150, answer: code(http.StatusBadRequest, 131056)},
		{name: "limited: the account, with Retry-After", weight: 15, answer: wait(1, 130429)},
		{name: "window closed: code 131047", weight: 100, answer: code(http.StatusBadRequest, 131047)},
		{name: "gone: code 131026", weight: 100, answer: code(http.StatusBadRequest, 131026)},
		{name: "permanent: code 131009", weight: 100, answer: code(http.StatusBadRequest, 131009)},
		{name: "unknown: 502, taken", weight: 60, took: true, answer: status(http.StatusBadGateway)},
		{name: "unknown: 502, not taken", weight: 60, answer: status(http.StatusBadGateway)},
		{name: "unknown: garbage, taken", weight: 60, took: true, answer: garbage},
		{name: "unknown: half an answer, taken", weight: 60, took: true, answer: half},
		{name: "unknown: reset, taken", weight: 60, took: true, answer: reset},
		{name: "unknown: reset, not taken", weight: 60, answer: reset},
		{name: "unknown: no answer, taken", weight: 6, took: true, answer: silence},
		{name: "unknown: no answer, not taken", weight: 6, answer: silence},
	}
}

// shares are of all first attempts; every second attempt fails half as often,
// and a third never, so that every message is settled soon.
const shares = 10_000

// faultOf says how an attempt is treated; nil = well. It is the same for the same
// seed, text and attempt.
func faultOf(all []fault, seed uint64, text string, attempt int) *fault {
	if attempt > 2 {
		return nil
	}
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d/%s/%d", seed, text, attempt)
	n := int(h.Sum64() >> 16 % uint64(shares*attempt)) //nolint:gosec // far below the bound
	for i := range all {
		if n -= all[i].weight; n < 0 {
			if attempt > 1 && all[i].first {
				return nil
			}
			return &all[i]
		}
	}
	return nil
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func code(status, code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error":{"code":%d,"message":"as planned"}}`, code)
	}
}

func wait(seconds, number int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", fmt.Sprint(seconds))
		code(http.StatusTooManyRequests, number)(w, r)
	}
}

func garbage(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte("<html>\x00\xff everything is fine"))
}

// half promises more than it sends.
func half(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "500")
	_, _ = w.Write([]byte(`{"messages":[{"id":`))
}

// reset ends the connection so that the other side gets an error.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// silence waits until the other side gives up.
func silence(_ http.ResponseWriter, r *http.Request) {
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
	case <-timer.C:
	}
}
