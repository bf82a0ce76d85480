package persistence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/colloquyhq/colloquy/conversation"
)

// The kinds of the documents that the directory knows.
const (
	docInbox      = "inbox"
	docAgent      = "agent"
	docCredential = "credential"
	docSecret     = "secret"
	docPack       = "pack"
	docPackText   = "pack_text"
	docAccount    = "channel_account"
	docCursor     = "channel_cursor"
	docLetter     = "dead_letter"
	docContact    = "contact"
	docHold       = "hold"
)

// directory keeps the configuration documents decoded, so that a read costs a
// look into a map. The state machine keeps it level with the database.
type directory struct {
	packsChanged chan struct{} // room for one; see [Store.PackChanges]

	mu struct {
		sync.RWMutex
		inboxes     map[conversation.InboxID]conversation.Inbox
		agents      map[conversation.AgentID]conversation.Agent
		emails      map[string]conversation.AgentID
		credentials map[string]Credential
		hashes      map[[32]byte]string
		packs       map[string]conversation.StoredPack
		accounts    map[string]conversation.Account
		letters     map[string]struct{} // ids
		people      people
		holds       map[string]conversation.Hold // by the id of a contact or conversation
	}
}

func newDirectory() *directory {
	d := &directory{packsChanged: make(chan struct{}, 1)}
	d.clear()
	return d
}

func (d *directory) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.inboxes = make(map[conversation.InboxID]conversation.Inbox)
	d.mu.agents = make(map[conversation.AgentID]conversation.Agent)
	d.mu.emails = make(map[string]conversation.AgentID)
	d.mu.credentials = make(map[string]Credential)
	d.mu.hashes = make(map[[32]byte]string)
	d.mu.packs = make(map[string]conversation.StoredPack)
	d.mu.accounts = make(map[string]conversation.Account)
	d.mu.letters = make(map[string]struct{})
	d.mu.people = newPeople()
	d.mu.holds = make(map[string]conversation.Hold)
	d.tellPacks()
}

// tellPacks says that packs have changed; nobody waits for who listens.
func (d *directory) tellPacks() {
	select {
	case d.packsChanged <- struct{}{}:
	default:
	}
}

// load reads all documents anew.
func (d *directory) load(db pebble.Reader) error {
	d.clear()
	return scanDocs(db, tagPrefix(tagDocument), func(kind string, doc Doc) error {
		if err := d.put(&document{kind: kind, id: doc.ID, version: doc.Version, doc: doc.Data}); err != nil {
			return fmt.Errorf("%w: %s %s: %w", ErrCorrupt, kind, doc.ID, err)
		}
		return nil
	})
}

// refuse says what is wrong with a document, for the kinds it knows. It is part
// of the state machine and looks at nothing but documents.
func (d *directory) refuse(doc *document) error {
	switch doc.kind {
	case docInbox:
		_, err := decodeDoc[conversation.Inbox](doc)
		return err
	case docAgent:
		a, err := decodeDoc[conversation.Agent](doc)
		if err != nil {
			return err
		}
		d.mu.RLock()
		defer d.mu.RUnlock()
		if other, ok := d.mu.emails[emailKey(a.Email)]; ok && a.Email != "" && string(other) != doc.id {
			return conversation.Refuse(conversation.CodeConflict, "another agent has this email address")
		}
	case docCredential:
		c, err := decodeDoc[Credential](doc)
		if err != nil {
			return err
		}
		d.mu.RLock()
		defer d.mu.RUnlock()
		if other, ok := d.mu.hashes[c.hash()]; ok && other != doc.id {
			return conversation.Refuse(conversation.CodeConflict, "another credential has this secret")
		}
	case docPack:
		_, err := decodeDoc[conversation.StoredPack](doc)
		return err
	case docAccount:
		_, err := decodeDoc[conversation.Account](doc)
		return err
	case docHold:
		_, err := decodeDoc[conversation.Hold](doc)
		return err
	case docContact:
		r, err := decodeContactRecord(doc)
		if err != nil {
			return err
		}
		d.mu.RLock()
		defer d.mu.RUnlock()
		return d.mu.people.refuse(&r)
	}
	return nil
}

func decodeDoc[T any](d *document) (T, error) {
	var v T
	if err := json.Unmarshal(d.doc, &v); err != nil {
		return v, &conversation.Error{Code: conversation.CodeBadJSON, Detail: "document of kind " + d.kind, Err: err}
	}
	return v, nil
}

// emailKey makes addresses that reach the same person the same.
func emailKey(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// put takes a document over.
func (d *directory) put(doc *document) error {
	switch doc.kind {
	case docInbox:
		v, err := decodeDoc[conversation.Inbox](doc)
		if err != nil {
			return err
		}
		v.ID, v.Version = conversation.InboxID(doc.id), doc.version
		d.mu.Lock()
		defer d.mu.Unlock()
		d.mu.inboxes[v.ID] = v
	case docAgent:
		v, err := decodeDoc[conversation.Agent](doc)
		if err != nil {
			return err
		}
		v.ID, v.Version = conversation.AgentID(doc.id), doc.version
		d.mu.Lock()
		defer d.mu.Unlock()
		d.forget(docAgent, doc.id)
		d.mu.agents[v.ID] = v
		if v.Email != "" {
			d.mu.emails[emailKey(v.Email)] = v.ID
		}
	case docCredential:
		v, err := decodeDoc[Credential](doc)
		if err != nil {
			return err
		}
		v.ID, v.Version = doc.id, doc.version
		d.mu.Lock()
		defer d.mu.Unlock()
		d.forget(docCredential, doc.id)
		d.mu.credentials[v.ID] = v
		d.mu.hashes[v.hash()] = v.ID
	case docPack:
		v, err := decodeDoc[conversation.StoredPack](doc)
		if err != nil {
			return err
		}
		v.Name, v.Version = doc.id, doc.version
		d.mu.Lock()
		defer d.mu.Unlock()
		d.mu.packs[v.Name] = v
		d.tellPacks()
	case docAccount:
		return d.putAccount(doc)
	case docContact:
		return d.putContact(doc)
	case docLetter:
		d.putLetter(doc)
	case docHold:
		return d.putHold(doc)
	}
	return nil
}

func (d *directory) drop(kind, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget(kind, id)
}

// forget takes a document out of the maps; the lock is held.
func (d *directory) forget(kind, id string) {
	switch kind {
	case docInbox:
		delete(d.mu.inboxes, conversation.InboxID(id))
	case docAgent:
		if a, ok := d.mu.agents[conversation.AgentID(id)]; ok {
			delete(d.mu.agents, a.ID)
			delete(d.mu.emails, emailKey(a.Email))
		}
	case docCredential:
		if c, ok := d.mu.credentials[id]; ok {
			delete(d.mu.credentials, id)
			delete(d.mu.hashes, c.hash())
		}
	case docPack:
		delete(d.mu.packs, id)
		d.tellPacks()
	case docAccount:
		delete(d.mu.accounts, id)
	case docLetter:
		delete(d.mu.letters, id)
	case docHold:
		delete(d.mu.holds, id)
	case docContact:
		if contact, err := conversation.ParseContactID(id); err == nil {
			d.mu.people.leave(contact)
		}
	}
}

// Inbox gives an inbox. What it points to is shared: callers must not change it.
// Errors: [ErrNotFound].
func (s *Store) Inbox(id conversation.InboxID) (conversation.Inbox, error) {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	v, ok := s.directory.mu.inboxes[id]
	if !ok {
		return v, fmt.Errorf("inbox %q: %w", id, ErrNotFound)
	}
	return v, nil
}

// Inboxes gives all inboxes by id.
func (s *Store) Inboxes() []conversation.Inbox {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.directory.mu.inboxes), func(a, b conversation.Inbox) int {
		return strings.Compare(string(a.ID), string(b.ID))
	})
}

// PutInbox writes an inbox whose stored version is the one it carries, where 0
// makes a new one, and gives it back with its new version.
func (s *Store) PutInbox(ctx context.Context, in conversation.Inbox) (conversation.Inbox, error) {
	if _, err := conversation.ParseInboxID(string(in.ID)); err != nil {
		return in, err
	}
	version, err := s.putJSON(ctx, &document{kind: docInbox, id: string(in.ID), expect: in.Version}, in)
	if err != nil {
		return in, err
	}
	in.Version = version
	return in, nil
}

// DeleteInbox removes an inbox. Its conversations stay. Errors: [ErrNotFound],
// [ErrConflict].
func (s *Store) DeleteInbox(ctx context.Context, id conversation.InboxID, version uint64) error {
	return s.DeleteDoc(ctx, docInbox, string(id), version)
}

// Agent gives an agent. What it points to is shared: callers must not change
// it. Errors: [ErrNotFound].
func (s *Store) Agent(id conversation.AgentID) (conversation.Agent, error) {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	v, ok := s.directory.mu.agents[id]
	if !ok {
		return v, fmt.Errorf("agent %q: %w", id, ErrNotFound)
	}
	return v, nil
}

// AgentByEmail finds an agent by email address, in whatever case it is written.
// Errors: [ErrNotFound].
func (s *Store) AgentByEmail(email string) (conversation.Agent, error) {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	id, ok := s.directory.mu.emails[emailKey(email)]
	if !ok {
		return conversation.Agent{}, fmt.Errorf("agent by email: %w", ErrNotFound)
	}
	return s.directory.mu.agents[id], nil
}

// Agents gives all agents by id.
func (s *Store) Agents() []conversation.Agent {
	s.directory.mu.RLock()
	defer s.directory.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.directory.mu.agents), func(a, b conversation.Agent) int {
		return strings.Compare(string(a.ID), string(b.ID))
	})
}

// PutAgent writes an agent whose stored version is the one it carries, where 0
// makes a new one, and gives it back with its new version. An email address
// belongs to one agent.
func (s *Store) PutAgent(ctx context.Context, a conversation.Agent) (conversation.Agent, error) {
	if _, err := conversation.ParseAgentID(string(a.ID)); err != nil {
		return a, err
	}
	version, err := s.putJSON(ctx, &document{kind: docAgent, id: string(a.ID), expect: a.Version}, a)
	if err != nil {
		return a, err
	}
	a.Version = version
	return a, nil
}

// DeleteAgent removes an agent. Errors: [ErrNotFound], [ErrConflict].
func (s *Store) DeleteAgent(ctx context.Context, id conversation.AgentID, version uint64) error {
	return s.DeleteDoc(ctx, docAgent, string(id), version)
}

func (s *Store) putJSON(ctx context.Context, d *document, v any) (uint64, error) {
	var err error
	if d.doc, err = s.enc.append(nil, v); err != nil {
		return 0, fmt.Errorf("encode %s %s: %w", d.kind, d.id, err)
	}
	return s.putDoc(ctx, d)
}

// isGone reports whether err says that something does not exist.
func isGone(err error) bool { return errors.Is(err, conversation.ErrNotFound) }
