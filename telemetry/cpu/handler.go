package cpu

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	defaultLimit = 100
	maxWatch     = 7 * 24 * time.Hour
	defaultWatch = 24 * time.Hour
)

// Handler answers, for the private listener:
//
//	GET  /metrics/sessions?channel=&limit=    a scrape target with all active conversations
//	GET  /debug/sessions?sort=&channel=&limit=    the same as JSON
//	GET  /debug/sessions/{id}
//	POST /debug/sessions/{id}/watch?for=24h    a series of its own in /metrics
func (ms *Meters) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics/sessions", ms.serveMetrics)
	mux.HandleFunc("GET /debug/sessions", ms.serveSessions)
	mux.HandleFunc("GET /debug/sessions/{id}", ms.serveSession)
	mux.HandleFunc("POST /debug/sessions/{id}/watch", ms.serveWatch)
	return mux
}

func (ms *Meters) serveMetrics(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(r, MaxSessions)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(newListed(ms.Sessions(q)))
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// sessionList is the answer of /debug/sessions.
type sessionList struct {
	Method     string     `json:"method"` // thread or wall, see [Method]
	Accounting Accounting `json:"accounting"`
	CPU        float64    `json:"cpu_seconds"` // of all conversations, since the start
	Sessions   []Session  `json:"sessions"`
}

func (ms *Meters) serveSessions(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(r, defaultLimit)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, sessionList{
		Method: Method, Accounting: ms.options.Accounting, CPU: time.Duration(ms.total.Load()).Seconds(), Sessions: ms.Sessions(q),
	})
}

func (ms *Meters) serveSession(w http.ResponseWriter, r *http.Request) {
	s, ok := ms.Find(r.PathValue("id"))
	if !ok {
		http.Error(w, "this conversation is not active on this node", http.StatusNotFound)
		return
	}
	writeJSON(w, s)
}

func (ms *Meters) serveWatch(w http.ResponseWriter, r *http.Request) {
	d := defaultWatch
	if v := r.FormValue("for"); v != "" {
		var err error
		if d, err = time.ParseDuration(v); err != nil || d <= 0 || d > maxWatch {
			http.Error(w, fmt.Sprintf("for: a duration up to %v, such as 24h, is needed", maxWatch), http.StatusBadRequest)
			return
		}
	}
	if !ms.Watch(r.PathValue("id"), time.Now().Add(d)) {
		http.Error(w, "this conversation is not active on this node", http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func readQuery(r *http.Request, limit int) (Query, error) {
	q := Query{Order: Order(r.FormValue("sort")), Channel: r.FormValue("channel"), Limit: limit}
	if q.Order == "" {
		q.Order = ByCPU
	}
	if !slices.Contains([]Order{ByCPU, ByRecent, ByTurns, ByLast}, q.Order) {
		return q, fmt.Errorf("sort: %q is none of cpu, recent, turns, last", q.Order)
	}
	if v := r.FormValue("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > MaxSessions {
			return q, fmt.Errorf("limit: a number from 1 to %d is needed", MaxSessions)
		}
		q.Limit = n
	}
	return q, nil
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the other side is gone; there is nobody to tell
}
