package gateway

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// The topics under which gateways tell each other what is worth nothing a second
// later.
const (
	relayTyping   = "typing"
	relayPresence = "presence"
)

// RelayTopics lists the topics whose payloads belong to [Gateway.Relayed].
func RelayTopics() []string { return []string{relayTyping, relayPresence} }

// The limits of what comes from other nodes.
const (
	maxTypingBytes   = 256
	maxPresenceBytes = 16 << 10
	maxPresenceRows  = 64 // agents in one payload
	relayFormat      = 1
)

// Relayed takes what another node's gateway has broadcast. It does not block,
// and junk changes nothing but a counter.
func (g *Gateway) Relayed(from, relayed string, payload []byte) {
	switch relayed {
	case relayTyping:
		t, err := decodeTyping(payload)
		if err != nil {
			g.metrics.relayJunk.Inc()
			return
		}
		g.hub.Typing(t)
	case relayPresence:
		rows, err := decodePresence(payload)
		if err != nil {
			g.metrics.relayJunk.Inc()
			return
		}
		g.presences.heard(g, from, rows, time.Now())
	default:
		g.metrics.relayJunk.Inc()
	}
}

// encodeTyping lays typing out as format, flags, party, ids, and the two names
// behind their length. A newer version may add to the end.
func encodeTyping(t TypingChange) []byte {
	b := make([]byte, 0, 48+len(t.Inbox)+len(t.Agent))
	on, party := byte(0), byte(0)
	if t.On {
		on = 1
	}
	if t.From == conversation.PartyAgent {
		party = 1
	}
	b = append(b, relayFormat, on, party)
	b = append(b, t.Conversation[:]...)
	b = append(b, t.Contact[:]...)
	b = append(append(b, byte(len(t.Inbox))), t.Inbox...)    //nolint:gosec // an id has at most 40 bytes
	return append(append(b, byte(len(t.Agent))), t.Agent...) //nolint:gosec // as above
}

func decodeTyping(b []byte) (TypingChange, error) {
	const fixed = 3 + 16 + 16
	var t TypingChange
	if len(b) < fixed || len(b) > maxTypingBytes || b[0] != relayFormat || b[1] > 1 || b[2] > 1 {
		return t, errRelay()
	}
	t.On, t.From = b[1] == 1, conversation.PartyVisitor
	copy(t.Conversation[:], b[3:19])
	copy(t.Contact[:], b[19:fixed])
	inbox, rest, ok := shortText(b[fixed:])
	agent, _, ok2 := shortText(rest)
	if !ok || !ok2 || t.Conversation.IsZero() {
		return t, errRelay()
	}
	var err error
	if t.Inbox, err = conversation.ParseInboxID(inbox); err != nil {
		return t, err
	}
	if b[2] == 1 {
		t.From = conversation.PartyAgent
		t.Agent, err = conversation.ParseAgentID(agent)
	}
	return t, err
}

func shortText(b []byte) (text string, rest []byte, ok bool) {
	if len(b) == 0 || len(b)-1 < int(b[0]) {
		return "", nil, false
	}
	return string(b[1 : 1+b[0]]), b[1+b[0]:], true
}

func errRelay() error {
	return conversation.Refuse(conversation.CodeInvalid, "not a payload that gateways tell each other")
}

// presenceRow is one agent as one node sees them.
type presenceRow struct {
	Agent  conversation.AgentID  `json:"a"`
	State  conversation.Presence `json:"s"`
	Chosen int64                 `json:"c,omitempty"` // Unix ms of the agent's choice; 0 = by being there
}

func encodePresence(rows []presenceRow) []byte {
	b, _ := json.Marshal(rows) // strings and numbers only: it cannot fail
	return b
}

func decodePresence(b []byte) ([]presenceRow, error) {
	var rows []presenceRow
	if len(b) > maxPresenceBytes || json.Unmarshal(b, &rows) != nil || len(rows) > maxPresenceRows {
		return nil, errRelay()
	}
	for _, r := range rows {
		if _, err := conversation.ParseAgentID(string(r.Agent)); err != nil {
			return nil, err
		}
		if !slices.Contains([]conversation.Presence{conversation.PresenceOnline, conversation.PresenceAway, conversation.PresenceOffline}, r.State) {
			return nil, errRelay()
		}
	}
	return rows, nil
}

// relay tells the other nodes.
func (g *Gateway) relay(topic string, payload []byte) {
	if g.opts.Relay != nil {
		g.opts.Relay.Broadcast(topic, payload)
	}
}

// relayPresences tells the other nodes about several agents.
func (g *Gateway) relayPresences(rows []presenceRow) {
	for part := range slices.Chunk(rows, maxPresenceRows) {
		g.relay(relayPresence, encodePresence(part))
	}
}

// SetMembers says which nodes there are now. New ones are told of this node's
// agents; what those that are gone have told counts for a short while longer.
func (g *Gateway) SetMembers(nodes []string) {
	g.presences.lose(nodes, time.Now())
	g.relayPresences(g.presences.rows())
}
