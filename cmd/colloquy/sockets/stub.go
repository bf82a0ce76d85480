package sockets

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
)

// What the stub knows: one inbox, one agent and their token.
const (
	stubInbox = conversation.InboxID("bench")
	stubAgent = conversation.AgentID("agent")
	stubToken = "pat_of-the-socket-benchmarks" //nolint:gosec // opens nothing but the stub
	stubEpoch = "bench"
)

// contactOf is the i-th visitor, in a form that is never zero.
func contactOf(i int) conversation.ContactID {
	var c conversation.ContactID
	binary.BigEndian.PutUint64(c[:8], 1)
	binary.BigEndian.PutUint64(c[8:], uint64(i)) //nolint:gosec // not negative
	return c
}

// conversationOf is the only conversation of a visitor.
func conversationOf(c conversation.ContactID) conversation.ConversationID {
	return conversation.ConversationID(c)
}

// stub is an engine that does nothing: it answers each call at once and keeps
// only the versions of what was published. It stands behind every interface
// that the gateway needs.
//
// Concurrency: safe for all.
type stub struct {
	known bool // every visitor has a conversation already

	mu struct {
		sync.Mutex
		versions map[conversation.ConversationID]conversation.Seq
	}
}

func newStub(o *ServerOptions) *stub {
	s := &stub{known: o.Known}
	s.mu.versions = make(map[conversation.ConversationID]conversation.Seq)
	return s
}

// receipt is what a message would have come to. Its seq is the number at the
// end of its ref, so that the client can check it and nothing is kept here.
func (*stub) receipt(in *conversation.Inbound) conversation.Receipt {
	_, digits, _ := strings.Cut(string(in.Ref), "-")
	n, _ := strconv.ParseUint(digits, 10, 32)
	return conversation.Receipt{
		Conversation: conversationOf(in.Contact), Seq: conversation.Seq(n + 1), At: time.Now().UTC().Truncate(time.Millisecond),
		Version: conversation.Seq(n + 1), Status: conversation.StatusOpen,
	}
}

// Deliver implements [gateway.Conversations].
func (s *stub) Deliver(_ context.Context, in conversation.Inbound) (conversation.Receipt, error) {
	return s.receipt(&in), nil
}

// DeliverAsync implements [gateway.Conversations].
func (s *stub) DeliverAsync(in conversation.Inbound, done func(conversation.Receipt, error)) {
	done(s.receipt(&in), nil)
}

// Do implements [gateway.Conversations].
func (*stub) Do(_ context.Context, id conversation.ConversationID, _ conversation.Command) (conversation.Receipt, error) {
	return conversation.Receipt{Conversation: id, Status: conversation.StatusOpen}, nil
}

// DoAsync implements [gateway.Conversations].
func (s *stub) DoAsync(id conversation.ConversationID, cmd conversation.Command, done func(conversation.Receipt, error)) {
	done(s.Do(context.Background(), id, cmd))
}

// Head implements [gateway.Journal].
func (s *stub) Head(_ context.Context, id conversation.ConversationID) (conversation.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return headOf(id, s.mu.versions[id]), nil
}

func headOf(id conversation.ConversationID, v conversation.Seq) conversation.Head {
	return conversation.Head{
		ID: id, Inbox: stubInbox, Channel: conversation.ChannelWeb, Contact: conversation.ContactID(id), Version: v,
		Status: conversation.StatusOpen, Handler: conversation.HandlerAgent, Queue: conversation.QueueNone, Priority: conversation.PriorityNone,
	}
}

// Entries implements [gateway.Journal].
func (s *stub) Entries(_ context.Context, id conversation.ConversationID, after conversation.Seq, limit int) ([]conversation.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []conversation.Entry
	for seq := after + 1; seq <= s.mu.versions[id] && len(out) < limit; seq++ {
		out = append(out, entryOf(seq, 1))
	}
	return out, nil
}

// entryOf is a message of an agent with a text of so many bytes.
func entryOf(seq conversation.Seq, bytes int) conversation.Entry {
	const words = "It is on its way and arrives tomorrow. "
	text := strings.Repeat(words, bytes/len(words)+1)[:bytes]
	return conversation.Entry{
		Seq: seq, At: time.Unix(1_700_000_000, 0).UTC(), Event: conversation.AgentReplied{Agent: stubAgent, Text: conversation.Text(text)},
	}
}

// List implements [gateway.Journal].
func (*stub) List(context.Context, gateway.ListQuery) ([]conversation.Head, string, error) {
	return nil, "", nil
}

// Load implements [gateway.Journal].
func (*stub) Load(_ context.Context, id conversation.ConversationID) (*conversation.State, error) {
	return &conversation.State{ID: id}, nil
}

// Current implements [gateway.Contacts].
func (s *stub) Current(_ context.Context, key conversation.ContactKey) (conversation.ConversationID, error) {
	if !s.known {
		return conversation.ConversationID{}, nil
	}
	return conversationOf(key.Contact), nil
}

// commit makes the next entry of a conversation.
func (s *stub) commit(id conversation.ConversationID, bytes int) *conversation.Commit {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.versions[id]++
	v := s.mu.versions[id]
	return &conversation.Commit{ID: id, Entries: []conversation.Entry{entryOf(v, bytes)}, Head: headOf(id, v)}
}

// Inbox implements [gateway.Inboxes].
func (s *stub) Inbox(id conversation.InboxID) (conversation.Inbox, error) {
	if id != stubInbox {
		return conversation.Inbox{}, errNotHere()
	}
	return s.Inboxes()[0], nil
}

// Inboxes implements [gateway.Inboxes].
func (*stub) Inboxes() []conversation.Inbox {
	return []conversation.Inbox{{ID: stubInbox, Name: "bench", Lang: "en", Origins: []string{"self"}, Version: 1}}
}

// PutInbox implements [gateway.Inboxes].
func (*stub) PutInbox(_ context.Context, in conversation.Inbox) (conversation.Inbox, error) {
	return in, errNotHere()
}

// Agent implements [gateway.Agents].
func (*stub) Agent(id conversation.AgentID) (conversation.Agent, error) {
	if id != stubAgent {
		return conversation.Agent{}, errNotHere()
	}
	return conversation.Agent{ID: stubAgent, Name: "Agent", Email: "agent@example.com", Role: conversation.RoleAdmin, SessionEpoch: 1, Version: 1}, nil
}

// AgentByEmail implements [gateway.Agents].
func (*stub) AgentByEmail(string) (conversation.Agent, error) {
	return conversation.Agent{}, errNotHere()
}

// Agents implements [gateway.Agents].
func (*stub) Agents() []conversation.Agent { return nil }

// PutAgent implements [gateway.Agents].
func (*stub) PutAgent(_ context.Context, a conversation.Agent) (conversation.Agent, error) {
	return a, errNotHere()
}

// CredentialByHash implements [gateway.Credentials].
func (*stub) CredentialByHash(hash [32]byte) (gateway.Credential, error) {
	if hash != sha256.Sum256([]byte(stubToken)) {
		return gateway.Credential{}, errNotHere()
	}
	return gateway.Credential{ID: "bench", Kind: gateway.CredentialAgent, Hash: hash, Agent: stubAgent}, nil
}

// Credentials implements [gateway.Credentials].
func (*stub) Credentials() []gateway.Credential { return nil }

// PutCredential implements [gateway.Credentials].
func (*stub) PutCredential(context.Context, gateway.Credential) error { return errNotHere() }

// DeleteCredential implements [gateway.Credentials].
func (*stub) DeleteCredential(context.Context, string) error { return errNotHere() }

// Secret implements [gateway.Secrets]. It is the same in every process, so that
// the leading one can make tokens for the server.
func (*stub) Secret(_ context.Context, name string, n int) ([]byte, error) {
	sum := sha256.Sum256([]byte("socket benchmarks " + name))
	return sum[:min(n, len(sum))], nil
}

func errNotHere() error { return conversation.Refuse(conversation.CodeNotFound, "the stub has none") }
