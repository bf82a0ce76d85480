package channeltest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// journal is a store of events that recognizes repetitions by contact and ref.
type journal struct {
	// before runs in front of each event; its error is given back and the event
	// is not stored.
	before func(ctx context.Context, n int, in conversation.Inbound) error

	mu struct {
		sync.Mutex

		calls  int
		stored []conversation.Inbound
		seen   map[string]conversation.Seq
	}
}

func (j *journal) deliver(ctx context.Context, in conversation.Inbound) (conversation.Receipt, error) {
	j.mu.Lock()
	j.mu.calls++
	n := j.mu.calls
	j.mu.Unlock()
	if j.before != nil {
		if err := j.before(ctx, n, in); err != nil {
			return conversation.Receipt{}, err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	r := conversation.Receipt{Conversation: conversation.ConversationID(in.Contact), At: time.Now()}
	key := in.Contact.String() + "|" + string(in.Ref)
	if seq, ok := j.mu.seen[key]; ok && in.Ref != "" {
		r.Seq, r.Duplicate = seq, true
		return r, nil
	}
	j.mu.stored = append(j.mu.stored, in)
	r.Seq = conversation.Seq(len(j.mu.stored))
	if j.mu.seen == nil {
		j.mu.seen = make(map[string]conversation.Seq)
	}
	j.mu.seen[key] = r.Seq
	return r, nil
}

func (j *journal) all() []conversation.Inbound {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]conversation.Inbound(nil), j.mu.stored...)
}

// rig is a driver inside the channel that users see.
type rig struct {
	registry *channels.Registry
	channel  *channels.Channel
	journal  *journal
	logs     *bytes.Buffer
}

func (s Suite) rig(t testing.TB, p http.RoundTripper) *rig {
	t.Helper()
	return s.rigWith(t, p, nil)
}

// rigWith is rig with a store of files; nil = none.
func (s Suite) rigWith(t testing.TB, p http.RoundTripper, keep *shelf) *rig {
	t.Helper()
	d := s.New(t, p)
	r := &rig{journal: &journal{}, logs: &bytes.Buffer{}}
	options := channels.Options{
		Drivers: map[conversation.ChannelKind]channels.Driver{d.Kind(): d},
		Inbox: func(id conversation.InboxID) (conversation.Inbox, error) {
			if id != s.Account {
				return conversation.Inbox{}, conversation.Refuse(conversation.CodeNotFound, "no such inbox")
			}
			return conversation.Inbox{ID: id}, nil
		},
		Deliver:    r.journal.deliver,
		Contact:    contact,
		Logger:     slog.New(slog.NewJSONHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registerer: prometheus.NewPedanticRegistry(),
	}
	if keep != nil {
		options.Files, options.Spool, options.Tell = keep, keep, keep.tell
	}
	registry, err := channels.NewRegistry(options)
	if err != nil {
		t.Fatalf("NewRegistry: %v", err)
	}
	channel, ok := registry.For(d.Kind(), s.Account)
	if !ok {
		t.Fatalf("For(%q, %q) found nothing", d.Kind(), s.Account)
	}
	r.registry, r.channel = registry, channel
	return r
}

func contact(inbox conversation.InboxID, kind conversation.ChannelKind, peer string) conversation.ContactID {
	sum := sha256.Sum256([]byte(string(inbox) + "|" + string(kind) + "|" + peer))
	return conversation.ContactID(sum[:16])
}

// post makes a delivery as it comes over the wire.
func (r *rig) post(t testing.TB, d Delivery) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	r.channel.ServeHTTP(rec, d.request(t))
	return rec
}

func (d Delivery) request(t testing.TB) *http.Request {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), d.method(), "/in?"+d.Query.Encode(), bytes.NewReader(d.Body))
	req.Header = d.Header.Clone()
	if req.Header == nil {
		req.Header = make(http.Header)
	}
	return req
}

// silent fails when the canary has reached the log.
func (r *rig) silent(t testing.TB) {
	t.Helper()
	if strings.Contains(r.logs.String(), canary) {
		t.Errorf("the log holds message text")
	}
}
