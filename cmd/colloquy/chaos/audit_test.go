package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// memory is a replica in memory.
type memory struct {
	logs    map[conversation.ConversationID][]conversation.Entry
	applied uint64
	hash    string
}

func (m *memory) Conversations(_ context.Context, visit func(conversation.ConversationID) error) error {
	ids := slices.SortedFunc(maps.Keys(m.logs), func(a, b conversation.ConversationID) int { return slices.Compare(a[:], b[:]) })
	for _, id := range ids {
		if err := visit(id); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Entries(_ context.Context, id conversation.ConversationID, after conversation.Seq, limit int) ([]conversation.Entry, error) {
	var out []conversation.Entry
	for _, e := range m.logs[id] {
		if e.Seq > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (m *memory) Applied() uint64 { return m.applied }

func (m *memory) StateHash(context.Context) (string, error) { return m.hash, nil }

func (*memory) Close() error { return nil }

// scene is a run with two conversations and three replicas, in which nothing was
// harmed.
type scene struct {
	one, two   conversation.ConversationID
	operations []*operation
	replicas   []*memory
	views      []*view
}

func newScene() *scene {
	s := &scene{one: conversation.ConversationID{1}, two: conversation.ConversationID{2}}
	v, a, w := author{visitorRole, 1}, author{agentRole, 1}, author{webhookRole, 1}
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	op := func(who author, number, due int, p place) *operation {
		return &operation{author: who, number: number, text: "text " + who.ref(number), due: ms(due), acked: ms(due + 5), place: p}
	}
	s.operations = []*operation{
		op(v, 0, 10, place{s.one, 2}), op(v, 1, 20, place{s.one, 4}), op(a, 0, 30, place{s.one, 6}), op(v, 2, 40, place{s.one, 7}),
		op(w, 0, 10, place{s.two, 2}), op(w, 1, 20, place{s.two, 3}),
	}
	for range 3 {
		s.replicas = append(s.replicas, &memory{
			logs: map[conversation.ConversationID][]conversation.Entry{s.one: s.logOne(), s.two: s.logTwo()}, applied: 9, hash: "same",
		})
	}
	s.views = []*view{s.seenBy(s.one, 0, 7), s.seenBy(s.one, 4, 7)}
	s.views[1].agent = true
	return s
}

func entriesOf(events ...conversation.Event) []conversation.Entry {
	var out []conversation.Entry
	for i, e := range events {
		out = append(out, conversation.Entry{Seq: conversation.Seq(i + 1), At: time.UnixMilli(int64(i)), Event: e})
	}
	return out
}

func said(ref string) conversation.Event {
	return conversation.MessageAccepted{Ref: conversation.Ref(ref), Text: conversation.Text("text " + ref)}
}

func (*scene) logOne() []conversation.Entry {
	return entriesOf(
		conversation.ConversationStarted{}, said("v1-0"), conversation.ReplyComposed{Text: "bot"}, said("v1-1"),
		conversation.AgentAssigned{Agent: "a"}, conversation.AgentReplied{Ref: "a1-0", Text: "text a1-0"}, said("v1-2"),
	)
}

func (*scene) logTwo() []conversation.Entry {
	return entriesOf(conversation.ConversationStarted{}, said("w1-0"), said("w1-1"))
}

// seenBy is what somebody saw who was shown everything.
func (s *scene) seenBy(id conversation.ConversationID, from, cursor conversation.Seq) *view {
	v := newView(id, from)
	for _, e := range s.replicas[0].logs[id] {
		if e.Seq > from && e.Seq <= cursor {
			v.shown = append(v.shown, sighting{e.Seq, sumOf(e.Event.Kind(), textOf(e.Event))})
		}
	}
	v.cursor = cursor
	return v
}

func (s *scene) audit(t *testing.T) *Findings {
	t.Helper()
	var replicas []named
	for i, r := range s.replicas {
		replicas = append(replicas, named{i + 1, r})
	}
	f, err := audit(t.Context(), replicas, s.operations, s.views)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// everywhere changes the log of the first conversation on every replica.
func (s *scene) everywhere(change func([]conversation.Entry) []conversation.Entry) {
	for _, r := range s.replicas {
		r.logs[s.one] = change(r.logs[s.one])
	}
}

func TestAuditOfACleanRun(t *testing.T) {
	t.Parallel()
	f := newScene().audit(t)
	if f.Harmed() || f.Sent != 6 || f.Acked != 6 || f.Conversations != 2 || f.Entries != 10 || f.Stored != 5 || f.Replies != 2 || len(f.Notes) != 0 {
		t.Errorf("findings %+v", f)
	}
}

// What was not acknowledged may be there or not, and what its author has given
// up may stand anywhere.
func TestAuditForgivesWhatWasNotPromised(t *testing.T) {
	t.Parallel()
	s := newScene()
	s.operations[1].acked, s.operations[1].given = 0, true // stored nevertheless
	s.operations = append(s.operations, &operation{author: author{visitorRole, 9}, number: 0, text: "x", due: 5})
	if f := s.audit(t); f.Harmed() || f.Acked != 5 || f.Sent != 7 {
		t.Errorf("findings %+v", f)
	}
}

func TestAuditFindsHarm(t *testing.T) {
	t.Parallel()
	swap := func(log []conversation.Entry, i, j int) []conversation.Entry {
		log[i].Event, log[j].Event = log[j].Event, log[i].Event
		return log
	}
	tests := []struct {
		name string
		harm func(*scene)
		want Findings
		note string
	}{
		{
			name: "lost everywhere",
			harm: func(s *scene) {
				s.everywhere(func(log []conversation.Entry) []conversation.Entry { return log[:6] })
				s.views = nil
			},
			want: Findings{Lost: 1}, note: "v1-2 was acknowledged",
		},
		{
			name: "lost on one node",
			harm: func(s *scene) { s.replicas[2].logs[s.one] = s.replicas[2].logs[s.one][:6] },
			want: Findings{Lost: 1, Violations: 1}, note: "not the same on node 1 and node 3",
		},
		{
			name: "a whole conversation lost",
			harm: func(s *scene) {
				for _, r := range s.replicas {
					delete(r.logs, s.two)
				}
			},
			want: Findings{Lost: 2}, note: "its conversation is not there",
		},
		{
			name: "another message in its place",
			harm: func(s *scene) {
				s.everywhere(func(log []conversation.Entry) []conversation.Entry { return swap(log, 2, 1) })
				s.views = nil
			},
			want: Findings{Lost: 1}, note: "nothing of a client is there",
		},
		{
			name: "stored twice",
			harm: func(s *scene) {
				s.everywhere(func(log []conversation.Entry) []conversation.Entry {
					return append(log, conversation.Entry{Seq: 8, Event: said("v1-2")})
				})
			},
			want: Findings{Duplicated: 1}, note: "v1-2 is stored twice",
		},
		{
			name: "stored in the wrong order",
			harm: func(s *scene) {
				s.everywhere(func(log []conversation.Entry) []conversation.Entry { return swap(log, 1, 3) })
				s.operations[0].place, s.operations[1].place = s.operations[1].place, s.operations[0].place
				s.operations[0].due, s.operations[1].acked = 1, time.Second // at the same time, so that only the order is wrong
				s.operations[0].acked = time.Second
				s.views = nil
			},
			want: Findings{Reordered: 1}, note: "v1-0 stands behind message 1",
		},
		{
			name: "time ran backwards",
			harm: func(s *scene) {
				s.everywhere(func(log []conversation.Entry) []conversation.Entry { return swap(log, 3, 5) })
				s.operations[1].place, s.operations[2].place = s.operations[2].place, s.operations[1].place
				s.views = nil
			},
			want: Findings{Violations: 1}, note: "not linearizable",
		},
		{
			name: "written after seeing what was stored later",
			harm: func(s *scene) { s.operations[3].saw = place{s.one, 7} },
			want: Findings{Violations: 1}, note: "after its author had seen",
		},
		{
			name: "one id with two places",
			harm: func(s *scene) { s.operations[0].conflict = []place{{s.one, 3}} },
			want: Findings{Violations: 1}, note: "acknowledged twice",
		},
		{
			name: "one place for two ids",
			harm: func(s *scene) { s.operations[5].place = s.operations[4].place },
			want: Findings{Lost: 1, Violations: 2}, note: "were both acknowledged",
		},
		{
			name: "text changed",
			harm: func(s *scene) {
				s.everywhere(func(log []conversation.Entry) []conversation.Entry {
					log[6].Event = conversation.MessageAccepted{Ref: "v1-2", Text: "something else"}
					return log
				})
				s.views = nil
			},
			want: Findings{Violations: 1}, note: "says something else than its author",
		},
		{
			name: "bytes differ on one node",
			harm: func(s *scene) { s.replicas[1].logs[s.one][2].Event = conversation.ReplyComposed{Text: "other"} },
			want: Findings{Violations: 1}, note: "not the same on node 1 and node 2",
		},
		{
			name: "a conversation on one node only",
			harm: func(s *scene) {
				s.replicas[1].logs[conversation.ConversationID{3}] = entriesOf(conversation.ConversationStarted{})
			},
			want: Findings{Violations: 1}, note: "not the same on node 1 and node 2",
		},
		{
			name: "a hole in a log",
			harm: func(s *scene) {
				s.everywhere(func(log []conversation.Entry) []conversation.Entry { return slices.Delete(log, 2, 3) })
				s.views = nil
			},
			want: Findings{Violations: 1}, note: "has seq 4 where 3 belongs",
		},
		{
			name: "what nobody wrote",
			harm: func(s *scene) {
				s.everywhere(func(log []conversation.Entry) []conversation.Entry {
					return append(log, conversation.Entry{Seq: 8, Event: said("v7-0")})
				})
			},
			want: Findings{Violations: 1}, note: "which nobody wrote",
		},
		{
			name: "another state at the same index",
			harm: func(s *scene) { s.replicas[2].hash = "different" },
			want: Findings{Violations: 1}, note: "its state at 9 is different",
		},
		{
			name: "not shown to a visitor",
			harm: func(s *scene) { s.views[0].shown = slices.Delete(s.views[0].shown, 2, 3) },
			want: Findings{Missed: 1}, note: "1 missed",
		},
		{
			name: "not shown to an agent",
			harm: func(s *scene) { s.views[1].shown = s.views[1].shown[1:] },
			want: Findings{Missed: 1}, note: "1 missed",
		},
		{
			name: "shown twice",
			harm: func(s *scene) { s.views[0].shown = append(s.views[0].shown, s.views[0].shown[3]) },
			want: Findings{ShownTwice: 1}, note: "1 shown twice",
		},
		{
			name: "shown in the wrong order",
			harm: func(s *scene) {
				shown := s.views[0].shown
				shown[2], shown[3] = shown[3], shown[2]
			},
			want: Findings{Violations: 1}, note: "out of order",
		},
		{
			name: "shown other than it was stored",
			harm: func(s *scene) { s.views[0].shown[2].sum++ },
			want: Findings{Violations: 1}, note: "other than in the log",
		},
		{
			name: "a note shown to a visitor",
			harm: func(s *scene) {
				s.everywhere(func(log []conversation.Entry) []conversation.Entry {
					log[2].Event = conversation.NoteAdded{Text: "bot", Ref: "a1-9"}
					return log
				})
				s.operations = append(s.operations, &operation{author: author{agentRole, 1}, number: 9, text: "bot", given: true})
				s.views = s.views[:1]
			},
			want: Findings{Violations: 1}, note: "out of order, or other",
		},
		{
			name: "shown what is on no disk",
			harm: func(s *scene) { s.views = append(s.views, newView(conversation.ConversationID{9}, 0)) },
			want: Findings{Violations: 1}, note: "which is not on node 1",
		},
		{
			name: "no replica",
			harm: func(s *scene) { s.replicas = nil },
			want: Findings{Violations: 1}, note: "no replica",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene()
			tt.harm(s)
			f := s.audit(t)
			got := Findings{
				Lost: f.Lost, Duplicated: f.Duplicated, Reordered: f.Reordered, Violations: f.Violations, Missed: f.Missed, ShownTwice: f.ShownTwice,
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) || !f.Harmed() {
				t.Errorf("findings %+v, want %+v; notes %q", got, tt.want, f.Notes)
			}
			if !strings.Contains(strings.Join(f.Notes, "\n"), tt.note) {
				t.Errorf("notes %q do not say %q", f.Notes, tt.note)
			}
		})
	}
}

// What nodes hold at different places of the journal is not compared as a whole,
// and that is said.
func TestAuditComparesHashesOnlyWhereItCan(t *testing.T) {
	t.Parallel()
	s := newScene()
	s.replicas[2].applied, s.replicas[2].hash = 8, "older"
	f := s.audit(t)
	if f.Harmed() || !strings.Contains(strings.Join(f.Notes, "\n"), "not all state hashes could be compared") {
		t.Errorf("findings %+v", f)
	}
}
