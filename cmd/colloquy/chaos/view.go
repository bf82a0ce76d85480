package chaos

import (
	"hash/fnv"
	"io"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/conversation"
)

// sighting is an event as it was shown, or as it should have been: its place
// and a sum over its kind and what it says.
type sighting struct {
	seq conversation.Seq
	sum uint64
}

func sumOf(kind, text string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, kind)
	_, _ = h.Write([]byte{0})
	_, _ = io.WriteString(h, text)
	return h.Sum64()
}

// view is what a client was shown of a conversation, in the order in which it
// came. It claims to be complete behind from and up to cursor.
type view struct {
	id     conversation.ConversationID
	agent  bool // an agent sees everything, a visitor what is meant for one
	from   conversation.Seq
	cursor conversation.Seq
	shown  []sighting
}

func newView(id conversation.ConversationID, from conversation.Seq) *view {
	return &view{id: id, from: from, cursor: from}
}

// take adds an event frame. What is older than the view is none of its
// business.
func (v *view) take(f *lab.Frame) {
	if f.Seq <= v.from {
		return
	}
	v.shown = append(v.shown, sighting{f.Seq, sumOf(f.Kind, f.Data.Text)})
	v.cursor = max(v.cursor, f.Seq)
}

// covers reports whether the client has been shown everything up to seq, or has
// begun behind it.
func (v *view) covers(seq conversation.Seq) bool { return seq <= v.cursor }

// due gives what of a log the view should hold.
func (v *view) due(log []conversation.Entry) []sighting {
	var out []sighting
	for _, e := range log {
		if e.Seq > v.from && e.Seq <= v.cursor && (v.agent || conversation.VisibleToVisitor(e.Event)) {
			out = append(out, sighting{e.Seq, sumOf(e.Event.Kind(), textOf(e.Event))})
		}
	}
	return out
}

// textOf is what an event says.
func textOf(e conversation.Event) string {
	switch e := e.(type) { //nolint:gochecksumtype // everything else says nothing
	case conversation.MessageAccepted:
		return string(e.Text)
	case conversation.ReplyComposed:
		return string(e.Text)
	case conversation.AgentReplied:
		return string(e.Text)
	case conversation.NoteAdded:
		return string(e.Text)
	}
	return ""
}

// viewFaults is how a view differs from the log.
type viewFaults struct {
	missed  int // in the log, not shown
	twice   int // shown more than once
	strange int // shown out of order, with other content, or not meant for this client
}

// compare checks a view against what it should hold.
func (v *view) compare(due []sighting) viewFaults {
	var f viewFaults
	want := make(map[conversation.Seq]uint64, len(due))
	for _, s := range due {
		want[s.seq] = s.sum
	}
	seen := make(map[conversation.Seq]bool, len(v.shown))
	var newest conversation.Seq
	for _, s := range v.shown {
		sum, meant := want[s.seq]
		switch {
		case seen[s.seq]:
			f.twice++
		case !meant || sum != s.sum || s.seq < newest:
			f.strange++
		}
		seen[s.seq] = true
		newest = max(newest, s.seq)
	}
	for _, s := range due {
		if !seen[s.seq] {
			f.missed++
		}
	}
	return f
}
