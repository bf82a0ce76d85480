package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/intent/remote"
)

const (
	maxBody = 4 << 20
	maxText = 16 << 10
	piece   = 8                // texts in an inference
	longest = 20 * time.Second // for a request
)

// server answers the protocol.
type server struct {
	encoder encodes
	head    *head
	packs   []string
	token   string        // empty = anybody may ask
	turns   chan struct{} // one for each inference that may run
}

func newServer(e encodes, h *head, packs []string, token string) *server {
	return &server{encoder: e, head: h, packs: packs, token: token, turns: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(remote.Path, s.classify)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "not_found", "POST "+remote.Path+" is all there is")
	})
	return mux
}

// utterance is what is used of the protocol's.
type utterance struct {
	Text  *string   `json:"text"`
	Packs *[]string `json:"packs"`
}

type candidate struct {
	Intent     string  `json:"intent"`
	Confidence float64 `json:"confidence"`
}

// result is candidates, or an error; candidates that are none are [].
type result struct {
	Candidates *[]candidate    `json:"candidates,omitempty"`
	Error      *remote.Problem `json:"error,omitempty"`
}

func (s *server) classify(w http.ResponseWriter, r *http.Request) {
	if id := r.Header.Get(remote.HeaderRequestID); id != "" && len(id) <= 64 {
		w.Header().Set(remote.HeaderRequestID, id)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, remote.ErrorBadRequest, "POST "+remote.Path+" is all there is")
		return
	}
	if s.token != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+s.token)) == 0 {
		refuse(w, http.StatusUnauthorized, "unauthenticated", "the bearer token is missing or wrong")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, remote.ErrorTooLarge, fmt.Sprintf("the body is over %d bytes", maxBody))
		return
	}
	var q struct {
		Utterances []utterance `json:"utterances"`
	}
	if err := json.Unmarshal(body, &q); err != nil {
		refuse(w, http.StatusBadRequest, remote.ErrorBadRequest, "the body does not fit: "+err.Error())
		return
	}
	if status, p := check(q.Utterances); p != nil {
		refuse(w, status, p.Code, p.Message)
		return
	}
	ctx, cancel := patience(r)
	defer cancel()
	results, err := s.results(ctx, q.Utterances)
	switch {
	case err != nil && ctx.Err() != nil:
		refuse(w, http.StatusServiceUnavailable, "late", "there was not enough time")
		return
	case err != nil:
		log.Print("onnx: ", err) // without a text of a visitor
		refuse(w, http.StatusInternalServerError, "failed", "the model failed")
		return
	}
	reply(w, http.StatusOK, map[string]any{"model": "onnx", "version": s.head.version, "results": results})
}

// patience gives a context that ends when the client no longer waits.
func patience(r *http.Request) (context.Context, context.CancelFunc) {
	if ms, err := strconv.Atoi(r.Header.Get(remote.HeaderDeadline)); err == nil && ms > 0 && ms < int(longest.Milliseconds()) {
		return context.WithTimeout(r.Context(), time.Duration(ms)*time.Millisecond)
	}
	return context.WithTimeout(r.Context(), longest)
}

func check(us []utterance) (int, *remote.Problem) {
	if len(us) == 0 {
		return http.StatusBadRequest, &remote.Problem{Code: remote.ErrorBadRequest, Message: "utterances has to be a list with at least one"}
	}
	if len(us) > remote.MaxBatch {
		return http.StatusRequestEntityTooLarge, &remote.Problem{Code: remote.ErrorTooLarge, Message: fmt.Sprintf("%d utterances, the limit is %d", len(us), remote.MaxBatch)}
	}
	for i, u := range us {
		switch {
		case u.Text == nil || u.Packs == nil:
			return http.StatusBadRequest, &remote.Problem{Code: remote.ErrorBadRequest, Message: fmt.Sprintf("utterance %d has no text or no packs", i)}
		case len(*u.Text) > maxText:
			return http.StatusRequestEntityTooLarge, &remote.Problem{Code: remote.ErrorTooLarge, Message: fmt.Sprintf("the text of utterance %d is over %d bytes", i, maxText)}
		}
	}
	return 0, nil
}

// results classifies the texts of known packs.
func (s *server) results(ctx context.Context, us []utterance) ([]result, error) {
	out := make([]result, len(us))
	var texts []string
	var at []int
	for i, u := range us {
		switch {
		case len(*u.Packs) == 0 || slices.ContainsFunc(*u.Packs, func(p string) bool { return !slices.Contains(s.packs, p) }):
			out[i].Error = &remote.Problem{Code: remote.ErrorUnknownPack, Message: "this server has learned " + strings.Join(s.packs, ", ") + " only"}
		case strings.TrimSpace(*u.Text) == "":
			out[i].Candidates = &[]candidate{}
		default:
			texts, at = append(texts, *u.Text), append(at, i)
		}
	}
	for part := range slices.Chunk(at, piece) {
		if err := s.infer(ctx, texts[:len(part)], part, out); err != nil {
			return nil, err
		}
		texts = texts[len(part):]
	}
	return out, nil
}

// infer runs the model once, in its turn. One that has begun cannot be stopped,
// which is why it gets few texts.
func (s *server) infer(ctx context.Context, texts []string, at []int, out []result) error {
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if ctx.Err() != nil { // both were there
		return ctx.Err()
	}
	vectors, err := s.encoder.encode(texts)
	if err != nil {
		return err
	}
	for k, i := range at {
		c := s.head.classify(vectors[k])
		out[i].Candidates = &c
	}
	return nil
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	reply(w, status, map[string]remote.Problem{"error": {Code: code, Message: message}})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", remote.ContentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}
