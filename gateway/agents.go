package gateway

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// agentView is an agent in lists. The password hash is not a part of it.
type agentView struct {
	wire.Profile
	Disabled bool                  `json:"disabled,omitempty"`
	Presence conversation.Presence `json:"presence"`
	Version  uint64                `json:"version"`
}

// agentBody is what an admin may set. It has no session epoch and no version:
// those are not for callers to choose.
type agentBody struct {
	ID       *conversation.AgentID   `json:"id"`
	Name     *string                 `json:"name"`
	Email    *string                 `json:"email"`
	Password *string                 `json:"password"`
	Role     *conversation.Role      `json:"role"`
	Inboxes  *[]conversation.InboxID `json:"inboxes"`
	Capacity *int                    `json:"capacity"`
	Disabled *bool                   `json:"disabled"`
}

const maxCapacity = 1000

func (g *Gateway) agentView(a conversation.Agent) agentView {
	return agentView{Profile: *profileOf(a), Disabled: a.Disabled, Presence: g.presences.of(a.ID), Version: a.Version}
}

func (g *Gateway) listAgents(w http.ResponseWriter, _ *http.Request, _ caller) error {
	agents := slices.Clone(g.opts.Agents.Agents())
	slices.SortFunc(agents, func(a, b conversation.Agent) int { return cmp.Compare(a.ID, b.ID) })
	out := make([]agentView, len(agents))
	for i, a := range agents {
		out[i] = g.agentView(a)
	}
	return answer(w, http.StatusOK, newPage(out, ""))
}

func (g *Gateway) createAgent(w http.ResponseWriter, r *http.Request, _ caller) error {
	var b agentBody
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	a, err := newAgent(b)
	if err == nil {
		err = g.checkInboxes(a.Inboxes)
	}
	if err != nil {
		return err
	}
	if _, err := g.opts.Agents.AgentByEmail(a.Email); err == nil {
		return conversation.Refuse(conversation.CodeConflict, "another agent has this e-mail address")
	}
	if _, err := g.opts.Agents.Agent(a.ID); err == nil {
		return conversation.Refuse(conversation.CodeConflict, "another agent has this id; choose one with the field id")
	}
	if a, err = g.opts.Agents.PutAgent(r.Context(), a); err != nil {
		return err
	}
	return answer(w, http.StatusCreated, g.agentView(a))
}

// newAgent makes an agent out of a body. The id is taken from the address
// when none was chosen.
func newAgent(b agentBody) (conversation.Agent, error) {
	a := conversation.Agent{Role: conversation.RoleAgent, SessionEpoch: 1}
	if b.Name == nil || b.Email == nil || b.Password == nil {
		return a, conversation.Refuse(conversation.CodeInvalid, "name, email and password are needed")
	}
	if err := b.apply(&a); err != nil {
		return a, err
	}
	if b.ID == nil {
		id := conversation.AgentID(slugOf(a.Email))
		b.ID = &id
	}
	var err error
	a.ID, err = conversation.ParseAgentID(string(*b.ID))
	a.SessionEpoch = 1
	return a, err
}

// slugOf makes an id out of an e-mail address.
func slugOf(email string) string {
	local, _, _ := strings.Cut(email, "@")
	s := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, local), "-")
	if s == "" {
		return randomName("agent-")[:16]
	}
	return s[:min(len(s), 40)]
}

// apply sets what the body holds. Whatever takes rights away or could have
// leaked ends the agent's sessions.
func (b *agentBody) apply(a *conversation.Agent) error {
	var err error
	if b.Name != nil {
		if a.Name, err = checkName(*b.Name); err != nil {
			return err
		}
	}
	if b.Email != nil {
		if a.Email, err = checkEmail(*b.Email); err != nil {
			return err
		}
	}
	if b.Password != nil {
		if a.PasswordHash, err = HashPassword(*b.Password); err != nil {
			return err
		}
		a.SessionEpoch++
	}
	if b.Role != nil {
		if *b.Role != conversation.RoleAgent && *b.Role != conversation.RoleAdmin {
			return conversation.Refuse(conversation.CodeInvalid, "role is agent or admin")
		}
		if a.Role != *b.Role {
			a.SessionEpoch++
		}
		a.Role = *b.Role
	}
	if b.Disabled != nil {
		if *b.Disabled {
			a.SessionEpoch++
		}
		a.Disabled = *b.Disabled
	}
	return b.applyWork(a)
}

func (b *agentBody) applyWork(a *conversation.Agent) error {
	if b.Inboxes != nil {
		a.Inboxes = *b.Inboxes
	}
	if b.Capacity != nil {
		if *b.Capacity < 0 || *b.Capacity > maxCapacity {
			return conversation.Refusef(conversation.CodeInvalid, "capacity is 0 to %d", maxCapacity)
		}
		a.Capacity = *b.Capacity
	}
	return nil
}

func (g *Gateway) checkInboxes(ids []conversation.InboxID) error {
	for _, id := range ids {
		if _, err := g.opts.Inboxes.Inbox(id); err != nil {
			return conversation.Refusef(conversation.CodeInvalid, "there is no inbox %q", id)
		}
	}
	return nil
}

func (g *Gateway) patchAgent(w http.ResponseWriter, r *http.Request, _ caller) error {
	id, err := conversation.ParseAgentID(r.PathValue("agent"))
	if err != nil {
		return err
	}
	a, err := g.opts.Agents.Agent(id)
	if err != nil {
		return err
	}
	if err := checkMatch(r, a.Version); err != nil {
		return err
	}
	var b agentBody
	if err := decodeBody(r, &b); err != nil {
		return err
	}
	if b.ID != nil && *b.ID != id {
		return conversation.Refuse(conversation.CodeInvalid, "an agent's id does not change")
	}
	before := a
	if err := b.apply(&a); err != nil {
		return err
	}
	if err := g.checkInboxes(a.Inboxes); err != nil {
		return err
	}
	if other, err := g.opts.Agents.AgentByEmail(a.Email); err == nil && other.ID != id {
		return conversation.Refuse(conversation.CodeConflict, "another agent has this e-mail address")
	}
	if isActiveAdmin(before) && !isActiveAdmin(a) && !g.otherAdmin(id) {
		return conversation.Refuse(conversation.CodeConflict, "this is the last admin")
	}
	if a, err = g.opts.Agents.PutAgent(r.Context(), a); err != nil {
		return err
	}
	w.Header().Set("ETag", etagOf(a.Version))
	return answer(w, http.StatusOK, g.agentView(a))
}

func isActiveAdmin(a conversation.Agent) bool {
	return a.Role == conversation.RoleAdmin && !a.Disabled
}

func (g *Gateway) otherAdmin(id conversation.AgentID) bool {
	return slices.ContainsFunc(g.opts.Agents.Agents(), func(a conversation.Agent) bool { return a.ID != id && isActiveAdmin(a) })
}
