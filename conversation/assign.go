package conversation

import "time"

// Waiting is a conversation in a queue.
type Waiting struct {
	ID       ConversationID
	Priority Priority
	Since    time.Time
	Skip     AgentID // the agent it was just taken from; not offered again while others are free
}

// Before orders waiting conversations: higher priority first, then who has
// waited longer, then by id so that the order is total.
func (w Waiting) Before(o Waiting) bool {
	if a, b := w.Priority.Rank(), o.Priority.Rank(); a != b {
		return a > b
	}
	if !w.Since.Equal(o.Since) {
		return w.Since.Before(o.Since)
	}
	return string(w.ID[:]) < string(o.ID[:])
}

// Seat is an agent as the queue sees one.
type Seat struct {
	Agent    AgentID
	Presence Presence
	Load     int // conversations assigned
	Capacity int
	Since    time.Time // of the last assignment, to take turns among equals
}

// Presence says whether an agent takes conversations.
type Presence string

// The presences.
const (
	PresenceOnline  Presence = "online"
	PresenceAway    Presence = "away" // connected, gets nothing by automatic assignment
	PresenceOffline Presence = "offline"
)

// Pick chooses the agent for w: online, below capacity, least busy in
// proportion to capacity, then the one who has waited longest for work. It
// returns false when nobody is free.
func Pick(w Waiting, seats []Seat) (AgentID, bool) {
	best := -1
	for i := range seats {
		if !seats[i].free() {
			continue
		}
		if best < 0 || better(w, &seats[i], &seats[best]) {
			best = i
		}
	}
	if best < 0 {
		return "", false
	}
	return seats[best].Agent, true
}

func (s *Seat) free() bool { return s.Presence == PresenceOnline && s.Load < s.Capacity }

func better(w Waiting, a, b *Seat) bool {
	if as, bs := a.Agent == w.Skip, b.Agent == w.Skip; as != bs {
		return bs
	}
	// a.Load/a.Capacity < b.Load/b.Capacity without division
	if l, r := a.Load*b.Capacity, b.Load*a.Capacity; l != r {
		return l < r
	}
	if !a.Since.Equal(b.Since) {
		return a.Since.Before(b.Since)
	}
	return a.Agent < b.Agent
}
