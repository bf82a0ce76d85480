package gateway

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// memoryStore stands in for journal, actors and engine: it stores entries in
// memory and publishes each commit, in order, from one goroutine.
type memoryStore struct {
	mu       sync.Mutex
	hub      *Hub
	commits  chan conversation.Commit
	closed   bool
	logs     map[conversation.ConversationID][]conversation.Entry
	heads    map[conversation.ConversationID]conversation.Head
	current  map[conversation.ContactKey]conversation.ConversationID
	refs     map[string]conversation.Seq
	made     byte
	inbounds []conversation.Inbound
	commands []conversation.Command

	bot   func(conversation.Inbound) *conversation.ReplyComposed // nil = silent
	hold  chan struct{}                                          // not nil: async calls wait for it
	fail  error                                                  // not nil: every call fails with it
	slowR func()                                                 // called in Entries, between snapshot and return
}

func newMemoryStore() *memoryStore {
	return &memoryStore{
		commits: make(chan conversation.Commit, 1<<14),
		logs:    make(map[conversation.ConversationID][]conversation.Entry),
		heads:   make(map[conversation.ConversationID]conversation.Head),
		current: make(map[conversation.ContactKey]conversation.ConversationID),
		refs:    make(map[string]conversation.Seq),
	}
}

// run publishes until commits is closed.
func (s *memoryStore) run() {
	for c := range s.commits {
		s.hub.Publish(&c)
	}
}

// close ends run; what is stored later is not published.
func (s *memoryStore) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	close(s.commits)
}

// start makes a conversation and gives its id.
func (s *memoryStore) start(inbox conversation.InboxID, contact conversation.ContactID) conversation.ConversationID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startLocked(conversation.Inbound{Inbox: inbox, Contact: contact, Channel: conversation.ChannelWeb})
}

func (s *memoryStore) startLocked(in conversation.Inbound) conversation.ConversationID {
	s.made++
	id := conversation.ConversationID{0xc0, s.made}
	s.heads[id] = conversation.Head{
		ID: id, Inbox: in.Inbox, Channel: in.Channel, Contact: in.Contact, Peer: in.Peer, Status: conversation.StatusPending,
		Handler: conversation.HandlerBot, Queue: conversation.QueueNone, Priority: conversation.PriorityNone, CreatedAt: now(), LastActivity: now(),
	}
	s.current[conversation.ContactKey{Inbox: in.Inbox, Contact: in.Contact}] = id
	s.appendLocked(id, conversation.ConversationStarted{Inbox: in.Inbox, Channel: in.Channel, Contact: in.Contact, Status: conversation.StatusPending, Handler: conversation.HandlerBot})
	return id
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// append stores events as one commit.
func (s *memoryStore) append(id conversation.ConversationID, events ...conversation.Event) conversation.Seq {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.appendLocked(id, events...)
}

func (s *memoryStore) appendLocked(id conversation.ConversationID, events ...conversation.Event) conversation.Seq {
	h := s.heads[id]
	var entries []conversation.Entry
	for _, e := range events {
		h.Version++
		entries = append(entries, conversation.Entry{Seq: h.Version, At: now(), Event: e})
		switch v := e.(type) {
		case conversation.AgentAssigned:
			h.Assignee, h.Queue, h.Status = v.Agent, conversation.QueueAssigned, conversation.StatusOpen
		case conversation.StatusChanged:
			h.Status = v.To
		case conversation.ConversationErased:
			h.Status, h.Erased = conversation.StatusClosed, true
		case conversation.TagsChanged:
			h.Tags = append(slices.DeleteFunc(slices.Clone(h.Tags), func(t string) bool { return slices.Contains(v.Removed, t) }), v.Added...)
		}
	}
	h.LastActivity = now()
	s.heads[id] = h
	s.logs[id] = append(s.logs[id], entries...)
	if !s.closed {
		s.commits <- conversation.Commit{ID: id, Entries: entries, Head: h}
	}
	return h.Version
}

// publishAgain brings everything of a conversation, as a stream does that is late.
func (s *memoryStore) publishAgain(id conversation.ConversationID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.logs[id] {
		s.commits <- conversation.Commit{ID: id, Entries: []conversation.Entry{e}, Head: s.heads[id]}
	}
}

// appendSilently stores events without publishing them: a lost commit.
func (s *memoryStore) appendSilently(id conversation.ConversationID, e conversation.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.heads[id]
	h.Version++
	s.heads[id] = h
	s.logs[id] = append(s.logs[id], conversation.Entry{Seq: h.Version, At: now(), Event: e})
}

func (s *memoryStore) Deliver(_ context.Context, in conversation.Inbound) (conversation.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return conversation.Receipt{}, s.fail
	}
	s.inbounds = append(s.inbounds, in)
	key := conversation.ContactKey{Inbox: in.Inbox, Contact: in.Contact}
	id, ok := s.current[key]
	if !ok {
		id = s.startLocked(in)
	}
	refKey := id.String() + string(in.Ref)
	if seq := s.refs[refKey]; in.Ref != "" && seq != 0 {
		return conversation.Receipt{Conversation: id, Seq: seq, At: s.logs[id][seq-1].At, Duplicate: true, Version: s.heads[id].Version}, nil
	}
	events := []conversation.Event{conversation.MessageAccepted{Ref: in.Ref, Text: in.Text, Metadata: in.Metadata, Attachments: in.Attachments}}
	seq := s.heads[id].Version + 1
	r := conversation.Receipt{Conversation: id, Seq: seq}
	if s.bot != nil {
		if reply := s.bot(in); reply != nil {
			reply.InReplyTo = seq
			events = append(events, *reply)
			if in.Wait > 0 {
				bot := reply.Bot
				r.Replies = []conversation.Message{{Seq: seq + 1, From: conversation.PartyBot, Text: reply.Text, Buttons: reply.Buttons, Bot: &bot}}
			}
		}
	}
	r.Version = s.appendLocked(id, events...)
	r.At, r.Status = s.logs[id][seq-1].At, s.heads[id].Status
	if in.Ref != "" {
		s.refs[refKey] = seq
	}
	return r, nil
}

func (s *memoryStore) Do(_ context.Context, id conversation.ConversationID, cmd conversation.Command) (conversation.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return conversation.Receipt{}, s.fail
	}
	s.commands = append(s.commands, cmd)
	var ref conversation.Ref
	var e conversation.Event
	switch c := cmd.(type) {
	case conversation.ReplyAsAgent:
		ref, e = c.Ref, conversation.AgentReplied(c)
	case conversation.AddNote:
		ref, e = c.Ref, conversation.NoteAdded(c)
	case conversation.Claim:
		if h := s.heads[id]; h.Assignee != "" && h.Assignee != c.Agent {
			return conversation.Receipt{}, conversation.Refuse(conversation.CodeAlreadyClaimed, string(h.Assignee)+" has it")
		}
		e = conversation.AgentAssigned{Agent: c.Agent, Claimed: true}
	case conversation.Assign:
		e = conversation.AgentAssigned{Agent: c.To, By: c.By}
	case conversation.Resolve:
		e = conversation.StatusChanged{To: conversation.StatusResolved, By: c.By}
	case conversation.MarkRead:
		e = conversation.MessagesRead(c)
	case conversation.MarkDelivered:
		e = conversation.MessagesDelivered(c)
	case conversation.ChangeTags:
		e = conversation.TagsChanged{By: c.By, Added: c.Add, Removed: c.Remove}
	case conversation.RequestHandover:
		e = conversation.HandoverRequested{Reason: c.Reason, By: c.By}
	case conversation.JudgeAnswer:
		e = conversation.AnswerJudged{By: c.By, Agent: c.Agent, Answer: c.Answer, Verdict: c.Verdict, Intent: c.Intent}
	default:
		e = conversation.TimerEnded{ID: "x"}
	}
	refKey := id.String() + string(ref)
	if seq := s.refs[refKey]; ref != "" && seq != 0 {
		return conversation.Receipt{Conversation: id, Seq: seq, At: s.logs[id][seq-1].At, Duplicate: true, Version: s.heads[id].Version}, nil
	}
	v := s.appendLocked(id, e)
	if ref != "" {
		s.refs[refKey] = v
	}
	return conversation.Receipt{Conversation: id, Seq: v, At: now(), Version: v, Status: s.heads[id].Status}, nil
}

func (s *memoryStore) DeliverAsync(in conversation.Inbound, done func(conversation.Receipt, error)) {
	go func() {
		s.wait()
		done(s.Deliver(context.Background(), in))
	}()
}

func (s *memoryStore) DoAsync(id conversation.ConversationID, cmd conversation.Command, done func(conversation.Receipt, error)) {
	go func() {
		s.wait()
		done(s.Do(context.Background(), id, cmd))
	}()
}

func (s *memoryStore) wait() {
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
}

func (s *memoryStore) Head(_ context.Context, id conversation.ConversationID) (conversation.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.heads[id]
	if !ok {
		return h, conversation.Refuse(conversation.CodeNotFound, "no head of "+id.String())
	}
	return h, nil
}

func (s *memoryStore) Entries(_ context.Context, id conversation.ConversationID, after conversation.Seq, limit int) ([]conversation.Entry, error) {
	s.mu.Lock()
	log := s.logs[id]
	slow := s.slowR
	s.mu.Unlock()
	if slow != nil {
		slow()
	}
	if int(after) >= len(log) {
		return nil, nil
	}
	log = log[after:]
	return slices.Clone(log[:min(len(log), limit)]), nil
}

func (s *memoryStore) List(_ context.Context, q ListQuery) ([]conversation.Head, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []conversation.Head
	for _, h := range s.heads {
		if (len(q.Inboxes) == 0 || slices.Contains(q.Inboxes, h.Inbox)) && (len(q.Status) == 0 || slices.Contains(q.Status, h.Status)) {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b conversation.Head) int { return cmp.Compare(a.ID.String(), b.ID.String()) })
	out = slices.DeleteFunc(out, func(h conversation.Head) bool { return h.ID.String() <= q.Cursor })
	if len(out) > q.Limit {
		return out[:q.Limit], out[q.Limit-1].ID.String(), nil
	}
	return out, "", nil
}

func (s *memoryStore) Load(_ context.Context, id conversation.ConversationID) (*conversation.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &conversation.State{ID: id, Version: s.heads[id].Version}, nil
}

func (s *memoryStore) Current(_ context.Context, key conversation.ContactKey) (conversation.ConversationID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current[key], nil
}

// memoryDirectory is inboxes, agents, credentials and secrets in memory.
type memoryDirectory struct {
	mu      sync.Mutex
	inboxes map[conversation.InboxID]conversation.Inbox
	agents  map[conversation.AgentID]conversation.Agent
	creds   map[string]Credential
}

func newMemoryDirectory() *memoryDirectory {
	return &memoryDirectory{
		inboxes: make(map[conversation.InboxID]conversation.Inbox),
		agents:  make(map[conversation.AgentID]conversation.Agent),
		creds:   make(map[string]Credential),
	}
}

func notFound() error { return conversation.Refuse(conversation.CodeNotFound, "not in the directory") }

func (d *memoryDirectory) Inbox(id conversation.InboxID) (conversation.Inbox, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	in, ok := d.inboxes[id]
	if !ok {
		return in, notFound()
	}
	return in, nil
}

func (d *memoryDirectory) Inboxes() []conversation.Inbox {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []conversation.Inbox
	for _, in := range d.inboxes {
		out = append(out, in)
	}
	return out
}

func (d *memoryDirectory) PutInbox(_ context.Context, in conversation.Inbox) (conversation.Inbox, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inboxes[in.ID].Version != in.Version {
		return in, conversation.Refuse(conversation.CodeVersionMismatch, "")
	}
	in.Version++
	d.inboxes[in.ID] = in
	return in, nil
}

func (d *memoryDirectory) Agent(id conversation.AgentID) (conversation.Agent, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, ok := d.agents[id]
	if !ok {
		return a, notFound()
	}
	return a, nil
}

func (d *memoryDirectory) AgentByEmail(email string) (conversation.Agent, error) {
	for _, a := range d.Agents() {
		if a.Email == email {
			return a, nil
		}
	}
	return conversation.Agent{}, notFound()
}

func (d *memoryDirectory) Agents() []conversation.Agent {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []conversation.Agent
	for _, a := range d.agents {
		out = append(out, a)
	}
	return out
}

func (d *memoryDirectory) PutAgent(_ context.Context, a conversation.Agent) (conversation.Agent, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.agents[a.ID].Version != a.Version {
		return a, conversation.Refuse(conversation.CodeVersionMismatch, "")
	}
	a.Version++
	d.agents[a.ID] = a
	return a, nil
}

func (d *memoryDirectory) CredentialByHash(hash [32]byte) (Credential, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.creds {
		if c.Hash == hash {
			return c, nil
		}
	}
	return Credential{}, notFound()
}

func (d *memoryDirectory) Credentials() []Credential {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Credential
	for _, c := range d.creds {
		out = append(out, c)
	}
	return out
}

func (d *memoryDirectory) PutCredential(_ context.Context, c Credential) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.creds[c.ID].Version != c.Version {
		return conversation.Refuse(conversation.CodeVersionMismatch, "")
	}
	c.Version++
	d.creds[c.ID] = c
	return nil
}

func (d *memoryDirectory) DeleteCredential(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.creds[id]; !ok {
		return notFound()
	}
	delete(d.creds, id)
	return nil
}

func (d *memoryDirectory) Secret(_ context.Context, name string, n int) ([]byte, error) {
	sum := sha256.Sum256([]byte("secret of the test: " + name))
	return sum[:n], nil
}

// presenceLog remembers what it was told.
type presenceLog struct {
	mu      sync.Mutex
	changes []conversation.PresenceChange
}

func (p *presenceLog) SetPresence(c conversation.PresenceChange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changes = append(p.changes, c)
}

func (p *presenceLog) last() conversation.PresenceChange {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.changes) == 0 {
		return conversation.PresenceChange{}
	}
	return p.changes[len(p.changes)-1]
}
