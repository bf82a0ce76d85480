package main

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/kernel"
	"github.com/colloquyhq/colloquy/conversation"
)

// maxListed bounds the turns that are listed.
const maxListed = 1000

// records are what the pages show: [kernel.Programs].
type records interface {
	Turns(do func(kernel.Key, kernel.Turn)) error
	Talks(do func(kernel.Key, kernel.Talk)) error
	Lines(do func(cookie uint64, l kernel.Line)) error
}

// pages answers on the observer's own address:
//
//	GET /metrics
//	GET /turns    the turns that are open, the oldest first
//	GET /conversations/{id}    what was seen of a conversation
func pages(r records, reg *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /turns", func(w http.ResponseWriter, _ *http.Request) { serveTurns(w, r) })
	mux.HandleFunc("GET /conversations/{id}", func(w http.ResponseWriter, req *http.Request) { serveConversation(w, req, r) })
	return mux
}

// openTurn is a row of /turns.
type openTurn struct {
	Conversation conversation.ConversationID `json:"conversation_id"`
	PID          uint32                      `json:"pid"`
	Seconds      float64                     `json:"seconds"`
}

func serveTurns(w http.ResponseWriter, r records) {
	now := kernel.Now()
	open := []openTurn{}
	err := r.Turns(func(k kernel.Key, t kernel.Turn) {
		open = append(open, openTurn{k.Conversation(), k.PID, seconds(max(now, t.Began) - t.Began)})
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	slices.SortFunc(open, func(a, b openTurn) int { return cmp.Compare(b.Seconds, a.Seconds) })
	writeJSON(w, struct {
		Open  int        `json:"open"`
		Turns []openTurn `json:"turns"`
	}{len(open), open[:min(len(open), maxListed)]})
}

// seen is what /conversations/{id} shows.
type seen struct {
	Processes   []talk `json:"processes"`
	Connections []line `json:"connections"`
}

type talk struct {
	PID     uint32  `json:"pid"`
	Turns   uint32  `json:"turns"`
	Failed  uint32  `json:"failed"`
	Slow    uint32  `json:"slow"`
	Longest float64 `json:"longest_seconds"`
}

type line struct {
	PID         uint32  `json:"pid"`
	Socket      uint64  `json:"socket"` // its cookie, as `ss -e` shows it in hexadecimal
	Retransmits uint32  `json:"retransmits"`
	Segments    uint32  `json:"segments"`
	RTT         float64 `json:"rtt_seconds"` // when it was last looked at: at a retransmission, or with --far
}

func serveConversation(w http.ResponseWriter, req *http.Request, r records) {
	id, err := conversation.ParseConversationID(req.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out := seen{Processes: []talk{}, Connections: []line{}}
	err = r.Talks(func(k kernel.Key, t kernel.Talk) {
		if k.Conversation() == id {
			out.Processes = append(out.Processes, talk{k.PID, t.Turns, t.Failed, t.Slow, seconds(t.Longest)})
		}
	})
	if err == nil {
		err = r.Lines(func(cookie uint64, l kernel.Line) {
			if l.Key.Conversation() == id {
				out.Connections = append(out.Connections, line{l.Key.PID, cookie, l.Retransmits, l.Segments, float64(l.RTTMicros) / 1e6})
			}
		})
	}
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case len(out.Processes)+len(out.Connections) == 0:
		http.Error(w, "nothing was seen of this conversation", http.StatusNotFound)
	default:
		writeJSON(w, out)
	}
}

func seconds(ns uint64) float64 { return float64(ns) / 1e9 }

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the other side is gone; there is nobody to tell
}
