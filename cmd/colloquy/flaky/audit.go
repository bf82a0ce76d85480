package flaky

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/colloquyhq/colloquy/conversation"
)

// story is what an agent sees of a conversation.
type story struct {
	in   []string // texts of the visitor
	out  []string // texts of the agent, in order
	fate map[string]conversation.Delivery
}

// read folds the events of a conversation as a console does.
func (s *site) read(ctx context.Context, p *person) (*story, error) {
	st := &story{fate: make(map[string]conversation.Delivery)}
	texts := make(map[conversation.Seq]string)
	var after conversation.Seq
	for {
		var page struct {
			Data []struct {
				Seq  conversation.Seq `json:"seq"`
				Type string           `json:"type"`
				Data json.RawMessage  `json:"data"`
			} `json:"data"`
			Meta struct {
				More bool `json:"has_more"`
			} `json:"meta"`
		}
		path := fmt.Sprintf("/v1/conversations/%s/events?limit=200&after_seq=%d", p.conversation, after)
		if _, err := s.client.call(ctx, http.MethodGet, path, nil, &page); err != nil {
			return nil, err
		}
		for _, e := range page.Data {
			after = e.Seq
			var data struct {
				Text     string                `json:"text"`
				Delivery conversation.Delivery `json:"delivery"`
				Message  conversation.Seq      `json:"message"`
				Result   conversation.Delivery `json:"result"`
			}
			if err := json.Unmarshal(e.Data, &data); err != nil {
				return nil, err
			}
			switch e.Type {
			case conversation.MessageAccepted{}.Kind():
				st.in = append(st.in, data.Text)
			case conversation.AgentReplied{}.Kind():
				texts[e.Seq] = data.Text
				st.out = append(st.out, data.Text)
				st.fate[data.Text] = conversation.DeliveryPending
			case conversation.MessageSent{}.Kind():
				st.fate[texts[data.Message]] = data.Result
			}
		}
		if !page.Meta.More {
			return st, nil
		}
	}
}

// audit holds everything that was acknowledged against what agents see and what
// the provider took.
func (s *site) audit(ctx context.Context, r *Report) error {
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	r.Delivered, r.Written, r.LeftOut, r.Refused = s.tally.delivered.Load(), s.tally.written.Load(), s.tally.left.Load(), s.tally.mu.refused
	for _, p := range s.people {
		st, err := s.read(ctx, p)
		if err != nil {
			return fmt.Errorf("read what %s and the agents wrote: %w", p.name, err)
		}
		st.check(r, p.name, s.tally.mu.in[p.name], s.tally.mu.out[p.name], s.provider.ledger(p.name))
	}
	return nil
}

// check compares one conversation.
func (st *story) check(r *Report, name string, in, out, taken []string) {
	seen := make(map[string]int, len(st.in))
	for _, text := range st.in {
		if seen[text]++; seen[text] == 2 {
			r.complain(&r.StoredTwice, "%s: %q is stored twice", name, text)
		}
	}
	for _, id := range in {
		if seen["in "+id] == 0 {
			r.complain(&r.Lost, "%s: %q was acknowledged and is not stored", name, "in "+id)
		}
	}
	for _, text := range out {
		if _, there := st.fate[text]; !there {
			r.complain(&r.Lost, "%s: %q was acknowledged and is not stored", name, text)
		}
	}
	times := make(map[string]int, len(taken))
	for _, text := range taken {
		times[text]++
	}
	for _, text := range st.out {
		r.count(st.fate[text], times[text], name, text)
	}
	st.checkOrder(r, name, taken)
}

// checkOrder: the provider took the messages in the order of the conversation.
func (st *story) checkOrder(r *Report, name string, taken []string) {
	last := -1
	for _, text := range taken {
		at := slices.Index(st.out, text)
		if at < last {
			r.complain(&r.OutOfOrder, "%s: %q was sent after %q", name, text, st.out[last])
		}
		last = max(last, at)
	}
}
