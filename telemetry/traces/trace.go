package traces

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/flight"
)

// Summary is what a list shows of a trace.
type Summary struct {
	ID           conversation.TraceID        `json:"trace_id"`
	Conversation conversation.ConversationID `json:"conversation_id,omitzero"`
	Inbox        conversation.InboxID        `json:"inbox,omitempty"`
	Channel      conversation.ChannelKind    `json:"channel,omitempty"`
	Reason       flight.Reason               `json:"reason"` // why it is kept
	Failed       bool                        `json:"error,omitempty"`
	Began        time.Time                   `json:"began"`
	Took         float64                     `json:"took_ms"` // the turn
	Spans        int                         `json:"spans"`
	Nodes        []string                    `json:"nodes"` // that have spans in it
}

// Trace is one that is kept.
type Trace struct {
	Summary

	All []flight.Record `json:"records"`
}

// Query asks for traces; zero fields ask for all.
type Query struct {
	Conversation conversation.ConversationID
	Inboxes      []conversation.InboxID // any of these; none = all
	Channel      conversation.ChannelKind
	Least        time.Duration // the turn took so long at least
	Failed       bool          // only those with an error
	Limit        int           // the newest so many; zero means 100
}

// defaultLimit is that of [Query].
const defaultLimit = 100

func (q *Query) matches(s *Summary) bool {
	return (q.Conversation.IsZero() || q.Conversation == s.Conversation) &&
		(len(q.Inboxes) == 0 || slices.Contains(q.Inboxes, s.Inbox)) &&
		(q.Channel == "" || q.Channel == s.Channel) &&
		s.Took >= float64(q.Least)/float64(time.Millisecond) && (s.Failed || !q.Failed)
}

func (q *Query) limit() int { return cmp.Or(q.Limit, defaultLimit) }

// Source gives the traces of a whole cluster.
type Source interface {
	// Traces lists them, newest first.
	Traces(ctx context.Context, q Query) ([]Summary, error)
	// Trace gives one. Errors: class [conversation.ErrNotFound].
	Trace(ctx context.Context, id conversation.TraceID) (*Trace, error)
}

// Merge makes one list of those of several nodes. Two nodes may have kept parts
// of the same trace; the one with more spans is shown.
func Merge(q Query, lists ...[]Summary) []Summary {
	best := map[conversation.TraceID]Summary{}
	for _, list := range lists {
		for _, s := range list {
			if s.Spans > best[s.ID].Spans {
				best[s.ID] = s
			}
		}
	}
	out := make([]Summary, 0, len(best))
	for _, s := range best {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Summary) int { return cmp.Or(b.Began.Compare(a.Began), slices.Compare(a.ID[:], b.ID[:])) })
	return out[:min(len(out), q.limit())]
}

// add brings further spans into a trace, each once, in the order of their start.
func (t *Trace) add(records []flight.Record) {
	known := make(map[conversation.SpanID]bool, len(t.All))
	for i := range t.All {
		known[t.All[i].Span] = true
	}
	for _, r := range records {
		if r.Trace == t.ID && !known[r.Span] && len(t.All) < maxSpans {
			known[r.Span] = true
			t.All = append(t.All, r)
		}
	}
	slices.SortStableFunc(t.All, func(a, b flight.Record) int { return a.Start.Compare(b.Start) })
	t.Spans, t.Nodes = len(t.All), nil
	for i := range t.All {
		t.Failed = t.Failed || t.All[i].Failed
		if !slices.Contains(t.Nodes, t.All[i].Node) {
			t.Nodes = append(t.Nodes, t.All[i].Node)
		}
	}
}

// maxSpans bounds a trace: somebody may send many messages under one id.
const maxSpans = 1_000
