// Command intent-server-go is an intent backend for Colloquy, in the standard
// library. It learns from a file of questions, one JSON object a line with
// "intent" and "text", or from a pack as `colloquy intent export --format json`
// writes it, and answers POST /v1/classify as docs/intent-plugin.md
// describes. Put your own model in the place of model.go.
package main

import (
	"bufio"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // the process ends anyway
	}
}

// run serves until ctx ends. It says on out where.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("intent-server-go", flag.ContinueOnError)
	questions := flags.String("questions", "", "JSON lines with intent and text, or a pack in JSON")
	packs := flags.String("pack", "", "packs whose intents these are, separated by commas")
	listen := flags.String("listen", "127.0.0.1:8090", "address to serve on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *questions == "" || *packs == "" {
		return errors.New("-questions and -pack are needed")
	}
	learned, err := readQuestions(*questions)
	if err != nil {
		return err
	}
	s := &server{model: newModel(learned), packs: strings.Split(*packs, ","), token: os.Getenv("INTENT_TOKEN")}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })()
	_, _ = fmt.Fprintf(out, "%d questions, serving on http://%s\n", len(learned), ln.Addr())
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// question is a line of the file.
type question struct {
	Intent string `json:"intent"`
	Text   string `json:"text"`
}

// readPack reads the questions of a pack in JSON.
func readPack(path string) ([]question, error) {
	raw, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	var pack struct {
		Intents []struct {
			ID         string              `json:"id"`
			Ask        map[string][]string `json:"ask"` // by language
			Background bool                `json:"background"`
		} `json:"intents"`
	}
	if err := json.Unmarshal(raw, &pack); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var out []question
	for _, in := range pack.Intents {
		for _, lang := range slices.Sorted(maps.Keys(in.Ask)) {
			for _, text := range in.Ask[lang] {
				if !in.Background {
					out = append(out, question{Intent: in.ID, Text: text})
				}
			}
		}
	}
	return out, nil
}

func readQuestions(path string) ([]question, error) {
	read := readLines
	if strings.HasSuffix(path, ".json") {
		read = readPack
	}
	out, err := read(path)
	if err == nil && !slices.ContainsFunc(out, func(q question) bool { return q.Intent != out[0].Intent }) {
		err = fmt.Errorf("%s: questions for two intents at least are needed", path)
	}
	return out, err
}

func readLines(path string) ([]question, error) {
	f, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var out []question
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil || q.Intent == "" || q.Text == "" {
			return nil, fmt.Errorf("%s:%d: a line is a JSON object with \"intent\" and \"text\"", path, n)
		}
		out = append(out, q)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

// server answers the protocol.
type server struct {
	model *model
	packs []string
	token string // empty = anybody may ask
}

const (
	maxBody  = 4 << 20
	maxBatch = 64
	maxText  = 16 << 10
)

// utterance is what the protocol sends of one text. There is more in it: lang,
// context, inbox and channel.
type utterance struct {
	Text  *string   `json:"text"`
	Packs *[]string `json:"packs"`
}

type candidate struct {
	Intent     string  `json:"intent"`
	Confidence float64 `json:"confidence"`
}

type result struct {
	Candidates []candidate `json:"candidates,omitempty"`
	Error      *problem    `json:"error,omitempty"`
}

// MarshalJSON writes candidates that are none as [], which says that nothing was
// recognized.
func (r result) MarshalJSON() ([]byte, error) {
	if r.Error != nil {
		return json.Marshal(map[string]*problem{"error": r.Error})
	}
	return json.Marshal(map[string][]candidate{"candidates": append([]candidate{}, r.Candidates...)})
}

type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/classify", s.classify)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "not_found", "POST /v1/classify is all there is")
	})
	return mux
}

func (s *server) classify(w http.ResponseWriter, r *http.Request) {
	if id := r.Header.Get("X-Request-Id"); id != "" && len(id) <= 64 {
		w.Header().Set("X-Request-Id", id)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, "bad_request", "POST /v1/classify is all there is")
		return
	}
	if s.token != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+s.token)) == 0 {
		refuse(w, http.StatusUnauthorized, "unauthenticated", "the bearer token is missing or wrong")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the body is over %d bytes", maxBody))
		return
	}
	var q struct {
		Utterances []utterance `json:"utterances"`
	}
	if err := json.Unmarshal(body, &q); err != nil {
		refuse(w, http.StatusBadRequest, "bad_request", "the body does not fit: "+err.Error())
		return
	}
	if status, p := check(q.Utterances); p != nil {
		refuse(w, status, p.Code, p.Message)
		return
	}
	results := make([]result, len(q.Utterances))
	for i, u := range q.Utterances {
		results[i] = s.result(u)
	}
	reply(w, http.StatusOK, map[string]any{"model": "centroid-go", "version": s.model.version, "results": results})
}

func check(us []utterance) (int, *problem) {
	if len(us) == 0 {
		return http.StatusBadRequest, &problem{"bad_request", "utterances has to be a list with at least one"}
	}
	if len(us) > maxBatch {
		return http.StatusRequestEntityTooLarge, &problem{"too_large", fmt.Sprintf("%d utterances, the limit is %d", len(us), maxBatch)}
	}
	for i, u := range us {
		switch {
		case u.Text == nil || u.Packs == nil:
			return http.StatusBadRequest, &problem{"bad_request", fmt.Sprintf("utterance %d has no text or no packs", i)}
		case len(*u.Text) > maxText:
			return http.StatusRequestEntityTooLarge, &problem{"too_large", fmt.Sprintf("the text of utterance %d is over %d bytes", i, maxText)}
		}
	}
	return 0, nil
}

func (s *server) result(u utterance) result {
	unknown := len(*u.Packs) == 0 || slices.ContainsFunc(*u.Packs, func(p string) bool { return !slices.Contains(s.packs, p) })
	if unknown {
		return result{Error: &problem{"unknown_pack", "this server has learned " + strings.Join(s.packs, ", ") + " only"}}
	}
	return result{Candidates: s.model.classify(*u.Text)}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	reply(w, status, map[string]problem{"error": {code, message}})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}
