package persistence

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

// seatsOf reads a line such as «L* v v- n»: L leader, v voter, n node without a
// vote; - dead for long, ~ silent for a while, ! gone, ? not level, * nothing.
func seatsOf(line string) []seat {
	var out []seat
	for i, word := range bytes.Fields([]byte(line)) {
		s := seat{node: fmt.Sprintf("node%d", i), address: fmt.Sprintf("a%d", i), live: true, level: true}
		s.voter, s.self = word[0] != 'n', word[0] == 'L'
		for _, mark := range word[1:] {
			switch mark {
			case '-':
				s.live, s.silent = false, time.Hour
			case '~':
				s.live, s.silent = false, time.Minute
			case '!':
				s.live, s.silent, s.gone = false, time.Minute, true
			case '?':
				s.level = false
			}
		}
		out = append(out, s)
	}
	return out
}

func TestStewardPlans(t *testing.T) {
	t.Parallel()
	promote := func(n int) stewardAction {
		return stewardAction{kind: actionPromote, node: fmt.Sprintf("node%d", n)}
	}
	remove := func(n int) stewardAction { return stewardAction{kind: actionRemove, node: fmt.Sprintf("node%d", n)} }
	for line, want := range map[string]stewardAction{
		"L":                 {},
		"L n":               promote(1),
		"L n?":              {},
		"L v":               {},
		"L v n":             promote(2),
		"L v v":             {},
		"L v v n":           {}, // four would bear no more losses than three
		"L v v n n":         promote(3),
		"L v v n n?":        {},
		"L v v v n":         promote(4),
		"L v v v":           {},
		"L v v v v":         {},
		"L v v v v n":       {},
		"L v v-":            {}, // two would be left
		"L v v~ n":          {}, // it may come back
		"L v v- n":          promote(3),
		"L v v! n":          promote(3),
		"L v v! n?":         {},
		"L v v v!":          remove(3),
		"L v v v-":          remove(3),
		"L v v v~":          {},
		"L v v v v-":        remove(4),
		"L v v v v- n":      remove(4), // and then the promotion
		"L v v v- n":        remove(3),
		"L v v v- v-":       remove(3),
		"L v v- v- v-":      {}, // no quorum: nothing can be changed
		"L v v v- v- n":     remove(3),
		"L v v n-":          remove(3),
		"L v v n~":          {},
		"L v v n!":          remove(3),
		"L v-":              {},
		"L v v v v v- v- n": remove(5),
	} {
		if got := plan(seatsOf(line), 5, 10*time.Minute); got != want {
			t.Errorf("plan(%s) = %+v, want %+v", line, got, want)
		}
	}
	if got := plan(seatsOf("L v v n n"), 3, time.Minute); got.kind != actionNone {
		t.Errorf("plan over the limit = %+v", got)
	}
	moved := seatsOf("L v v n")
	moved[1].now = "elsewhere"
	if got := plan(moved, 5, time.Minute); got != (stewardAction{kind: actionMove, node: "node1", address: "elsewhere"}) {
		t.Errorf("plan of a node that moved = %+v", got)
	}
}

// TestStewardEndsAndKeepsAQuorum follows plans to their end: they must end, keep
// a majority alive and never take the last live copies.
func TestStewardEndsAndKeepsAQuorum(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		seats := []seat{{node: "leader", voter: true, self: true, live: true, level: true}}
		for i := range rapid.IntRange(0, 8).Draw(r, "others") {
			s := seat{
				node: fmt.Sprintf("n%d", i), voter: rapid.Bool().Draw(r, "voter"), live: rapid.Bool().Draw(r, "live"),
				level: rapid.Bool().Draw(r, "level"), gone: rapid.Bool().Draw(r, "gone"),
			}
			s.gone = s.gone && !s.live
			if !s.live {
				s.silent = rapid.SampledFrom([]time.Duration{time.Second, time.Hour}).Draw(r, "silent")
			}
			seats = append(seats, s)
		}
		voters, live := count(seats)
		if live <= voters/2 {
			return // without a quorum nobody leads
		}
		for steps := 0; ; steps++ {
			if steps > 40 {
				r.Fatalf("the plan does not end: %+v", seats)
			}
			a := plan(seats, 5, 10*time.Minute)
			if a.kind == actionNone {
				return
			}
			for i := range seats {
				if seats[i].node != a.node {
					continue
				}
				if a.kind == actionPromote {
					seats[i].voter = true
					break
				}
				if seats[i].live {
					r.Fatalf("a live node is removed: %+v", seats[i])
				}
				seats = append(seats[:i], seats[i+1:]...)
				break
			}
			if voters, live = count(seats); live <= voters/2 {
				r.Fatalf("after %+v %d of %d voters live", a, live, voters)
			}
		}
	})
}

func count(seats []seat) (voters, live int) {
	for _, s := range seats {
		if s.voter {
			voters++
			if s.live {
				live++
			}
		}
	}
	return voters, live
}

func TestRemovalIsRefusedWithAReason(t *testing.T) {
	t.Parallel()
	up, down := Server{Voter: true, Reachable: true}, Server{Voter: true}
	for name, c := range map[string]struct {
		servers []Server
		mode    Removal
		refused bool
	}{
		"dead one of three":       {[]Server{down, up, up}, RemoveSilent, false},
		"live one of three":       {[]Server{up, up, up}, RemoveSilent, true},
		"live one, asked for":     {[]Server{up, up, up}, RemoveAny, false},
		"the only one":            {[]Server{up}, RemoveAny, true},
		"one of two":              {[]Server{up, up}, RemoveAny, false},
		"live one beside a dead":  {[]Server{up, up, down}, RemoveAny, true},
		"dead one without a vote": {[]Server{{}, up}, RemoveSilent, false},
	} {
		if got := removalRefused(c.servers, 0, c.mode); (got != "") != c.refused {
			t.Errorf("%s: refusal %q, want one: %v", name, got, c.refused)
		}
	}
}

func TestVersionsThatMix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"v1.2.3", "v1.3.0", true},
		{"1.2.3", "v1.2.9", true},
		{"v1.2.3", "v1.4.0", false},
		{"v1.4.0", "v1.2.3", false},
		{"v1.2.3", "v2.2.3", false},
		{"v1.2.3-rc1", "v1.2.3", true},
		{"abc1234-dirty", "v1.2.3", true},
		{"", "v1.2.3", true},
	} {
		if got := compatible(c.a, c.b); got != c.want {
			t.Errorf("compatible(%q, %q) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestLogSizesAndRecentEntries(t *testing.T) {
	t.Parallel()
	var z logSizes
	c := newRecentLogs()
	for i := uint64(1); i <= 5000; i++ {
		z.add(i, i, 1000)
		c.add([]*raft.Log{{Index: i, Term: 1, Data: bytes.Repeat([]byte{byte(i)}, 100)}})
	}
	if got, known := z.after(4000); got < 1_000_000 || got > 1_000_000+2*sampleBytes || !known {
		t.Errorf("after(4000) = %d, %v, want about 1,000,000", got, known)
	}
	if got := z.within(1_000_000); got > 1000 || got < 800 {
		t.Errorf("within(1,000,000) = %d, want a little under 1000", got)
	}
	z.cut(4001)
	if got, known := z.after(4000); got != 0 || !known {
		t.Errorf("after a cut %d bytes are left", got)
	}
	z.add(4001, 4001, 1000)
	if got, known := z.after(4000); got < 1000 || !known {
		t.Errorf("after(4000) = %d, %v, when the tail was replaced", got, known)
	}
	z.add(9001, 9001, 1000) // a state came in between
	if _, known := z.after(4500); known {
		t.Error("it is known what the entries have that came as a state")
	}
	if got, known := z.after(9000); got != 1000 || !known {
		t.Errorf("after(9000) = %d, %v, want 1000", got, known)
	}
	var l raft.Log
	if c.get(100, &l) || !c.get(5000, &l) || l.Data[0] != byte(5000%256) || c.get(5001, &l) {
		t.Error("the recent entries are not the newest")
	}
	c.drop(4990, 5000)
	if c.get(4990, &l) || !c.get(4989, &l) {
		t.Error("a tail that was dropped is there, or what is before it is not")
	}
	c.add([]*raft.Log{{Index: 4990, Term: 2}})
	if !c.get(4990, &l) || l.Term != 2 {
		t.Error("what replaces a tail is not found")
	}
	c.drop(1, 4988)
	if c.get(4988, &l) || !c.get(4989, &l) {
		t.Error("a head that was dropped is there, or what is after it is not")
	}
	c.add([]*raft.Log{{Index: 9000, Term: 3}})
	if c.get(4989, &l) || !c.get(9000, &l) {
		t.Error("entries are not forgotten at a gap")
	}
}

// TestGarbageOnTheLinkEndsTheStream writes nonsense to both protocols of a node:
// the stream ends and the node goes on.
func TestGarbageOnTheLinkEndsTheStream(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	n := c.mustStart("n1")
	site := c.net.at("x")
	hello := greeting{version: 1, cluster: n.store.identity.Cluster, from: "x", to: n.store.identity.Node, starts: 1}
	var greeted bytes.Buffer
	if err := writeShort(&greeted, hello.encode()); err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []string{protocolJournal, protocolRaft} {
		for name, garbage := range map[string][]byte{
			"noise":             bytes.Repeat([]byte{0xfe, 0x01, 0x93}, 500),
			"empty greeting":    {0, 0},
			"noise after hello": append(bytes.Clone(greeted.Bytes()), bytes.Repeat([]byte{0xff}, 100)...),
			"huge frame":        append(bytes.Clone(greeted.Bytes()), 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 1),
			"bad proposal":      append(bytes.Clone(greeted.Bytes()), 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 1, 1, 'p', 1, 0),
		} {
			conn, err := site.Dial(t.Context(), "n1", protocol)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(garbage); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 4096)
			for err == nil {
				_, err = conn.Read(buf)
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s, %s: the stream stays open", protocol, name)
			}
			_ = conn.Close()
		}
	}
	mustAppend(t, n.store, step(conv(1), 0, 1))
	// Questions that cannot be understood are answered.
	for _, op := range []linkOp{linkJoin, linkHello, linkRemove, linkTransfer, 99} {
		other := newLinks(dialer{network: site, protocol: protocolJournal, self: func() greeting { return hello }}, newAddresses(Peer{Node: "x"}, func() []Peer { return nil }), patience)
		link, err := other.to(t.Context(), n.store.identity.Node, "n1")
		if err != nil {
			t.Fatal(err)
		}
		a, err := link.ask(t.Context(), op, []byte("{{{"))
		if err != nil || a.status != statusRefused {
			t.Errorf("question %d of nonsense = %d, %v, want a refusal", op, a.status, err)
		}
		other.close()
	}
}

// FuzzFrames reads arbitrary bytes as the messages of peers.
func FuzzFrames(f *testing.F) {
	g := greeting{version: 1, cluster: "c", from: "a", to: "b", program: "v1.0.0", starts: 3}
	f.Add(g.encode())
	m := member{starts: 1, run: 2, acked: 3, removed: true, address: "a", version: "v"}
	f.Add(m.append(nil))
	i := introduction{node: "n", member: m, last: 9}
	f.Add(i.encodeHello())
	if p, err := goldenProposal(newEncoders(), goldenAppend()); err == nil {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := readGreeting(b); err == nil {
			again, err := readGreeting(g.encode())
			if err != nil || again != g {
				t.Errorf("greeting changed: %+v, %+v, %v", g, again, err)
			}
		}
		if m, err := decodeMember(b); err == nil {
			again, err := decodeMember(m.append(nil))
			if err != nil || again != m {
				t.Errorf("member changed: %+v, %+v, %v", m, again, err)
			}
		}
		_ = checkProposal(b)
		_, _ = readHint(b)
	})
}

// A leader that has just started does not know how much there was before, and a
// node that has not heard of the others must not vote: it would let none of them
// lead.
func TestOnlyLevelNodesGetAVote(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	c.grow(3)
	first := c.leader()
	appendMany(t, first.store, conv(1), 50)
	address := first.address
	c.halt(first)
	c.mustStart(address)
	appendMany(t, c.follower().store, conv(1), 5)
	lead := c.leader().store
	last, _ := lead.logs.LastIndex()
	changed := lead.logs.changed.Load()
	if changed == 0 {
		t.Fatal("a leader does not know when the cluster changed last")
	}
	for _, c := range []struct {
		what       string
		last, kept uint64
		want       bool
	}{
		{"it has everything", last, last, true},
		{"it has not heard that the others belong to it", last, changed - 1, false},
		{"it has nothing yet", 0, 0, false},
	} {
		if got := lead.cluster.isLevel(c.last, c.kept, changed); got != c.want {
			t.Errorf("%s: level is %v", c.what, got)
		}
	}
	var z logSizes
	z.start(1000)
	z.add(1001, 1001, 10)
	if _, known := z.after(3); known {
		t.Error("a new process knows how large the log before it is")
	}
}
