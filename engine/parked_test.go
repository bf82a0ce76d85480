package engine

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/colloquyhq/colloquy/cluster"
	"github.com/colloquyhq/colloquy/persistence"
)

// order is a message to the grain of the test.
type order struct{ Dish string }

// cook is a grain that cannot handle soup.
type cook struct{}

func (cook) Receive(ctx actor.Context) {
	o, ok := ctx.Message().(*order)
	if !ok {
		return
	}
	if strings.HasPrefix(o.Dish, "soup") {
		panic("no soup for " + o.Dish)
	}
	ctx.Respond("served " + o.Dish)
}

func TestParkedMessageIsADocument(t *testing.T) {
	t.Parallel()
	var log record
	o := quietOptions(t, &log)
	o.Kinds = []cluster.Kind{{Name: "cook", New: func(string) actor.Actor { return cook{} }}}
	e, _ := serving(t, o)
	id := cluster.GrainID{Kind: "cook", ID: strings.Repeat("anna", 100)}
	if _, err := e.Actors().Request(t.Context(), id, &order{"soup" + strings.Repeat(".", 1<<20)}); err == nil {
		t.Fatal("Request = nil for a message that panics")
	}
	var docs []persistence.Doc
	eventually(t, "the message is kept", func() bool {
		var err error
		docs, err = e.Store().Docs(t.Context(), DocParked)
		return err == nil && len(docs) == 1
	})
	var p Parked
	if err := json.Unmarshal(docs[0].Data, &p); err != nil {
		t.Fatal(err)
	}
	if p.Grain != id.String() || p.Type != "*engine.order" || !strings.Contains(p.Message, "soup....") || len(p.Message) != maxParkedText ||
		!strings.Contains(p.Stack, "parked_test.go") || p.Reason == "" || time.Since(p.At) > time.Minute {
		p.Message = cut(p.Message, 40)
		t.Errorf("kept %+v", p)
	}
	if strings.Contains(log.String(), "soup") {
		t.Error("the log holds the message")
	}
	if got, err := e.Actors().Request(t.Context(), id, &order{"bread"}); err != nil || got != "served bread" {
		t.Errorf("the grain afterwards: %v, %v", got, err)
	}
}

func TestParkedMessagesAreBounded(t *testing.T) {
	t.Parallel()
	e, err := New(quietOptions(t, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i := range maxParked {
		if _, err := e.Store().PutDoc(t.Context(), DocParked, "old"+time.Duration(i).String(), 0, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	e.park(&cluster.Parked{Grain: cluster.GrainID{Kind: "cook", ID: "anna"}, Message: &order{"soup"}})
	docs, err := e.Store().Docs(t.Context(), DocParked)
	if err != nil || len(docs) != maxParked {
		t.Errorf("%d documents, %v, want %d", len(docs), err, maxParked)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in    string
		limit int
		want  string
	}{{"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"订单", 4, "订"}, {"", 0, ""}} {
		if got := cut(tt.in, tt.limit); got != tt.want {
			t.Errorf("cut(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}
