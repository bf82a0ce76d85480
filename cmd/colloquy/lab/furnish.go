package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/persistence"
)

// Inbox is the inbox of the nodes under test: a bot without look-ups.
const Inbox conversation.InboxID = "bench"

// House is what is in a data directory before its node starts.
type House struct {
	Pack   string // answers in the inbox; empty = nothing does
	Agents int    // humans with a token each
}

// Keys open the doors of a furnished directory.
type Keys struct {
	Ingress string // bearer token of POST /webhook
	Agents  []AgentKey
}

// AgentKey is an agent with a bearer token.
type AgentKey struct {
	ID    conversation.AgentID
	Token string
}

// Furnish makes a data directory with the inbox and the agents in it.
func Furnish(ctx context.Context, dir string, h House) (*Keys, error) {
	s, err := persistence.Open(persistence.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	keys, err := furnish(ctx, s, h)
	return keys, errors.Join(err, s.Close())
}

func furnish(ctx context.Context, s *persistence.Store, h House) (*Keys, error) {
	inbox := conversation.Inbox{
		ID: Inbox, Name: "bench", Lang: "zh", Origins: []string{"self"},
		Policy: conversation.Policy{Answers: conversation.AnswersOn}, // what is measured is answers, whatever the pack has proven
	}
	if h.Pack != "" {
		inbox.Packs = []string{h.Pack}
	}
	_, err := s.PutInbox(ctx, inbox)
	if err != nil {
		return nil, err
	}
	keys := &Keys{}
	if keys.Ingress, err = putToken(ctx, s, persistence.Credential{ID: "ingress", Kind: persistence.CredentialInbox, Inbox: Inbox}); err != nil {
		return nil, err
	}
	for i := range h.Agents {
		id := conversation.AgentID(fmt.Sprintf("agent-%d", i))
		_, err := s.PutAgent(ctx, conversation.Agent{
			ID: id, Name: string(id), Email: string(id) + "@example.com", Role: conversation.RoleAdmin,
		})
		if err != nil {
			return nil, err
		}
		token, err := putToken(ctx, s, persistence.Credential{ID: string(id), Kind: persistence.CredentialPersonal, Agent: id})
		if err != nil {
			return nil, err
		}
		keys.Agents = append(keys.Agents, AgentKey{ID: id, Token: token})
	}
	return keys, nil
}

func putToken(ctx context.Context, s *persistence.Store, c persistence.Credential) (string, error) {
	token, _ := gateway.NewToken(gateway.CredentialKind(c.Kind), time.Now())
	hash := sha256.Sum256([]byte(token))
	c.Hash, c.CreatedAt = hash[:], time.Now().UTC()
	_, err := s.PutCredential(ctx, c)
	return token, err
}
