package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy-ebpf/observer"
	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
)

// The pack's look-up asks a server of the test: order 5000 is known, 7777 takes as
// long as the test wants, 9999 is an error.
const shopPack = `colloquy: 1
pack: shop
lang: en
variables: {shop_api: "%s"}
entities:
  order_no:
    regex: ['(?i)\border (\d{4,12})\b']
    ask: Which order?
flows:
  look:
    slots: [order_no]
    http:
      method: GET
      url: "{shop_api}/orders/{order_no}"
      timeout: 15s
    reply: "Order {order_no} is {$.status}."
intents:
  - id: track_order
    title: Where is my order
    answer: In your account.
    need: [order_no]
    flow: look
    ask: [where is my order, track my parcel, where is order 5555, has my parcel left, when does my order arrive]
  - id: business_hours
    title: Opening hours
    answer: From nine to five.
    ask: [when are you open, what are your opening hours, are you open on sundays, until when are you open today]
`

// shop is a node with its look-ups, and its settings for another start.
type shop struct {
	t       *testing.T
	spec    lab.Spec
	node    *lab.Node
	arrived chan struct{} // a look-up that hangs has come
	release chan struct{} // and may go on
}

func openShop(t *testing.T, program string) *shop {
	t.Helper()
	s := &shop{t: t, arrived: make(chan struct{}, 16), release: make(chan struct{}, 16)}
	api := httptest.NewServer(http.HandlerFunc(s.lookUp))
	t.Cleanup(api.Close)
	dir, packs := filepath.Join(t.TempDir(), "data"), t.TempDir()
	if err := os.WriteFile(filepath.Join(packs, "shop.yaml"), fmt.Appendf(nil, shopPack, api.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Furnish(t.Context(), dir, lab.House{Pack: "shop"}); err != nil {
		t.Fatal(err)
	}
	s.spec = lab.Spec{
		Program: program, Dir: dir, OpsListen: freeAddress(t),
		Settings: []string{"packs.dir=" + packs, "egress.allowed_cidrs=127.0.0.0/8"},
	}
	return s
}

func (s *shop) lookUp(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/7777"):
		s.arrived <- struct{}{}
		select {
		case <-s.release:
		case <-r.Context().Done():
		}
	case strings.HasSuffix(r.URL.Path, "/9999"):
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	_, _ = w.Write([]byte(`{"status": "on its way"}`))
}

func (s *shop) start() {
	s.t.Helper()
	var err error
	if s.node, err = lab.Start(s.t.Context(), &s.spec); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.node.Kill)
}

// guest is a visitor on a socket.
type guest struct {
	s       *shop
	link    *lab.Link
	frames  chan *lab.Frame
	early   []*lab.Frame // came before they were waited for, such as a reply before the ack
	sent    int
	current string // the conversation
}

func (s *shop) enter() *guest {
	s.t.Helper()
	token, err := lab.VisitorToken(s.t.Context(), s.node.Addr(), lab.Inbox)
	if err != nil {
		s.t.Fatal(err)
	}
	g := &guest{s: s, frames: make(chan *lab.Frame, 256)}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	g.link, err = lab.Dial(ctx, lab.Hello{Addr: s.node.Addr(), Path: lab.VisitorPath, Token: token}, func(f *lab.Frame) { g.frames <- f })
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(g.link.Close)
	return g
}

// says sends a message and waits until it is acknowledged.
func (g *guest) says(text string) {
	g.s.t.Helper()
	g.sent++
	if err := g.link.Send(map[string]any{"t": "message.send", "client_id": strconv.Itoa(g.sent), "text": text}); err != nil {
		g.s.t.Fatal(err)
	}
	g.current = g.sees(func(f *lab.Frame) bool { return f.T == "ack" && f.ClientID == strconv.Itoa(g.sent) }).ID
}

// hears waits for a reply.
func (g *guest) hears(text string) {
	g.s.t.Helper()
	g.sees(func(f *lab.Frame) bool { return f.CarriesMessage() && strings.Contains(f.Data.Text, text) })
}

func (g *guest) sees(what func(*lab.Frame) bool) *lab.Frame {
	g.s.t.Helper()
	if i := slices.IndexFunc(g.early, what); i >= 0 {
		f := g.early[i]
		g.early = slices.Delete(g.early, i, i+1)
		return f
	}
	for timeout := time.After(patience); ; {
		select {
		case f := <-g.frames:
			if what(f) {
				return f
			}
			g.early = append(g.early, f)
		case <-timeout:
			g.s.t.Fatalf("the node did not answer:\n%s", g.s.node.Log())
		}
	}
}

// A node without symbols is observed by a process without privileges but for two
// capabilities: turns are counted, conversations in trouble are found and watched, and
// it goes on over restarts, new versions and the death of the node.
func TestNodeIsObserved(t *testing.T) {
	needPrograms(t)
	program := copied(t, built.node, filepath.Join(built.dir, "observed"))
	s := openShop(t, program)
	w := asNobody(t, "--exe", program, "--ops", "http://"+s.spec.OpsListen, "--scan", "100ms",
		"--stuck", "1s", "--slow", "1s", "--flood", "4", "--errors", "1")
	s.start()

	chatty := s.enter()
	for range 4 {
		chatty.says("what are your opening hours")
		chatty.hears("nine to five")
	}
	w.becomes(`colloquy_ebpf_turns_begun_total`, 4)
	w.becomes(`colloquy_ebpf_turns_ended_total{outcome="done"}`, 4)
	if f := w.finds(observer.Flood, chatty.current); f.Turns != 4 || int(f.PID) != s.node.PID() {
		t.Errorf("finding = %+v, want 4 turns of process %d", f, s.node.PID())
	}
	s.isWatched(chatty.current)
	seen := s.seen(w, chatty.current)
	if len(seen.Processes) != 1 || seen.Processes[0].Turns != 4 || len(seen.Connections) != 1 || seen.Connections[0].Socket == 0 {
		t.Errorf("seen of the first conversation: %+v, want 4 turns and a connection", seen)
	}

	unlucky := s.enter()
	unlucky.says("where is order 9999")
	if f := w.finds(observer.Errors, unlucky.current); f.Turns != 1 {
		t.Errorf("finding = %+v, want one failed turn", f)
	}
	s.isWatched(unlucky.current)
	w.becomes(`colloquy_ebpf_turns_ended_total{outcome="failed"}`, 1)

	s.stops(w)
	s.restarts(w)
	w.stop()
	last := s.enter() // nobody looks on any more
	last.says("what are your opening hours")
	last.hears("nine to five")
}

// stops stops the node in the middle of a turn.
func (s *shop) stops(w *watching) {
	s.t.Helper()
	waiting := s.enter()
	waiting.says("where is order 7777")
	<-s.arrived
	if err := s.node.Signal(syscall.SIGSTOP); err != nil {
		s.t.Fatal(err)
	}
	if f := w.finds(observer.Stuck, waiting.current); f.Seconds < 1 || int(f.PID) != s.node.PID() {
		s.t.Errorf("finding = %+v, want a turn of process %d that is open for a second", f, s.node.PID())
	}
	var open struct {
		Open  int
		Turns []openTurn
	}
	if err := json.Unmarshal([]byte(get(s.t, w.addr, "/turns")), &open); err != nil {
		s.t.Fatal(err)
	}
	if open.Open != 1 || open.Turns[0].Conversation.String() != waiting.current {
		s.t.Errorf("open turns = %+v, want that of %s", open, waiting.current)
	}
	w.becomes(`colloquy_ebpf_turns_stuck`, 1)
	s.release <- struct{}{}
	if err := s.node.Signal(syscall.SIGCONT); err != nil {
		s.t.Fatal(err)
	}
	w.finds(observer.Slow, waiting.current)
	s.isWatched(waiting.current) // it was asked to while it was stopped
	w.becomes(`colloquy_ebpf_turns_open`, 0)
	w.becomes(`colloquy_ebpf_turns_stuck`, 0)
}

// restarts kills the node in the middle of a turn, starts it again, and once more in
// a new version.
func (s *shop) restarts(w *watching) {
	s.t.Helper()
	waiting := s.enter()
	waiting.says("where is order 7777")
	<-s.arrived
	w.finds(observer.Stuck, waiting.current)
	s.node.Kill()
	w.becomes(`colloquy_ebpf_turns_open`, 0)

	s.start()
	<-s.arrived // the turn that was open is taken up again
	s.release <- struct{}{}
	s.answers()
	w.becomes(`colloquy_ebpf_turns_begun_total`, 9)

	if err := os.Rename(copied(s.t, built.node, s.spec.Program+".new"), s.spec.Program); err != nil {
		s.t.Fatal(err)
	}
	w.becomes(`colloquy_ebpf_attaches_total{result="done"}`, 2)
	if err := s.node.Stop(); err != nil {
		s.t.Fatal(err)
	}
	s.start()
	s.answers()
	w.becomes(`colloquy_ebpf_turns_begun_total`, 10)
	w.becomes(`colloquy_ebpf_turns_ended_total{outcome="done"}`, 8)
	w.becomes(`colloquy_ebpf_turns_ended_total{outcome="failed"}`, 1)
	w.becomes(`colloquy_ebpf_turns_ended_total{outcome="dropped"}`, 0) // the last one was killed
	w.becomes(`colloquy_ebpf_missed_total{reason="unreadable"}`, 0)
	w.becomes(`colloquy_ebpf_missed_total{reason="lost"}`, 0)
}

// answers lets a new visitor ask something.
func (s *shop) answers() {
	s.t.Helper()
	g := s.enter()
	g.says("what are your opening hours")
	g.hears("nine to five")
}

// isWatched waits until the node watches a conversation.
func (s *shop) isWatched(id string) {
	s.t.Helper()
	eventually(s.t, id+" is watched", func() bool {
		var session struct{ Watched bool }
		status, body := fetch(s.t, s.node.Ops(), "/debug/sessions/"+id)
		return status == http.StatusOK && json.Unmarshal([]byte(body), &session) == nil && session.Watched
	})
}

// seen asks the observer about a conversation.
func (s *shop) seen(w *watching, id string) (out seen) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(get(s.t, w.addr, "/conversations/"+id)), &out); err != nil {
		s.t.Fatal(err)
	}
	return out
}

func copied(t *testing.T, from, to string) string {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o755) //nolint:gosec // a program that nobody has to read
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// An observer of one process sees no other, and ends with it.
func TestOneProcess(t *testing.T) {
	needPrograms(t)
	one, other := openShop(t, built.node), openShop(t, built.node)
	one.start()
	other.start()
	w := launch(t, []string{built.observer, "--pid", strconv.Itoa(one.node.PID()), "--ops", "http://" + one.spec.OpsListen, "--scan", "100ms"})
	for range 3 {
		other.answers()
		one.answers()
	}
	w.becomes(`colloquy_ebpf_turns_ended_total{outcome="done"}`, 3)
	w.becomes(`colloquy_ebpf_turns_begun_total`, 3)
	for path, want := range map[string]int{
		"/conversations/nonsense":                       http.StatusBadRequest,
		"/conversations/cnv_00000000000000000000000001": http.StatusBadRequest,
		"/conversations/cnv_00000000000000000000000004": http.StatusNotFound,
	} {
		if status, body := fetch(t, w.addr, path); status != want {
			t.Errorf("GET %s = %d %s, want %d", path, status, body, want)
		}
	}
	one.node.Kill()
	w.ends(exitOK)
}
