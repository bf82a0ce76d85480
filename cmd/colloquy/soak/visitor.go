package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	answerTime   = 20 * time.Second // for an acknowledgment, a reply, a resumption
	mostMessages = 8                // of a visit
	breakOneIn   = 4                // messages after which the connection is dropped
	frameRoom    = 256
	listBytes    = 1 << 20
)

// questions are plain ones of the e-commerce pack, in both languages.
func questions() []string {
	return []string{"运费怎么算", "满多少包邮", "how much is shipping", "支持哪些付款方式", "what payment methods do you accept", "怎么退货", "how do I return an item"}
}

// visitor is one place at the shop's window: somebody comes, talks and goes,
// then somebody else does.
type visitor struct {
	addr   string
	think  time.Duration
	tally  *tally
	random *rand.Rand
}

// visit is one person.
type visit struct {
	*visitor

	token  string
	link   *lab.Link
	frames chan *lab.Frame
	epoch  string
	id     string           // of the conversation
	cursor conversation.Seq // newest event seen
	seen   map[string]int   // events by the client id of their message
	sent   []string
}

// comeAndGo goes on until ctx ends; a visit that has begun is finished.
func (v *visitor) comeAndGo(ctx context.Context) {
	for ctx.Err() == nil {
		if err := v.visit(context.WithoutCancel(ctx)); err != nil {
			v.tally.lose("%v", err)
			v.pause(ctx)
			continue
		}
		v.tally.visits.Add(1)
		v.pause(ctx)
	}
}

func (v *visitor) pause(ctx context.Context) {
	t := time.NewTimer(time.Duration(v.random.Int64N(int64(v.think))))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// visit talks, sometimes over several connections, and checks in the end that
// everything that was acknowledged was seen once and is stored once.
func (v *visitor) visit(ctx context.Context) error {
	token, err := lab.VisitorToken(ctx, v.addr, lab.Inbox)
	if err != nil {
		return err
	}
	p := &visit{visitor: v, token: token, seen: make(map[string]int)}
	if err := p.connect(ctx); err != nil {
		return err
	}
	defer func() { p.link.Close() }()
	for i := range 1 + v.random.IntN(mostMessages) {
		if err := p.say(strconv.Itoa(i)); err != nil {
			return err
		}
		v.pause(ctx)
		if v.random.IntN(breakOneIn) > 0 {
			continue
		}
		p.link.Close()
		v.tally.breaks.Add(1)
		if err := p.connect(ctx); err != nil {
			return fmt.Errorf("come back: %w", err)
		}
	}
	return p.check(ctx)
}

// connect opens a connection behind what was seen, and waits until what was
// missed is here.
func (p *visit) connect(ctx context.Context) error {
	cursors := map[string]conversation.Seq{}
	if p.id != "" {
		cursors[p.id] = p.cursor
	}
	frames := make(chan *lab.Frame, frameRoom)
	p.frames = frames
	link, err := lab.Dial(ctx, lab.Hello{
		Addr: p.addr, Path: lab.VisitorPath, Token: p.token, Resume: map[string]any{"epoch": p.epoch, "cursors": cursors},
	}, func(f *lab.Frame) { frames <- f })
	if err != nil {
		return err
	}
	p.link = link
	return p.until("resumed", func(f *lab.Frame) bool { return f.T == "resumed" })
}

// say sends a message and waits for the acknowledgment, the message's own event
// and the bot's reply.
func (p *visit) say(name string) error {
	texts := questions()
	if err := p.link.Send(map[string]any{"t": "message.send", "client_id": name, "text": texts[p.random.IntN(len(texts))]}); err != nil {
		return err
	}
	p.sent = append(p.sent, name)
	var acked, replied conversation.Seq
	err := p.until("answer", func(f *lab.Frame) bool {
		switch {
		case f.T == "ack" && f.ClientID == name:
			acked = f.Seq
		case f.T == "event" && f.Kind == (conversation.ReplyComposed{}).Kind():
			replied = max(replied, f.Data.InReplyTo)
		}
		return acked > 0 && replied >= acked && p.seen[name] > 0
	})
	if acked > 0 {
		p.tally.messages.Add(1)
	}
	if err == nil {
		p.tally.replies.Add(1)
	}
	return err
}

// until takes frames until one is what was waited for.
func (p *visit) until(what string, done func(*lab.Frame) bool) error {
	timeout := time.NewTimer(answerTime)
	defer timeout.Stop()
	for {
		select {
		case f := <-p.frames:
			if err := p.take(f); err != nil {
				return err
			}
			if done(f) {
				return nil
			}
		case <-timeout.C:
			return fmt.Errorf("no %s within %v", what, answerTime)
		case <-p.link.Lost():
			return lab.ErrLost
		}
	}
}

// take keeps the books of what was seen.
func (p *visit) take(f *lab.Frame) error {
	switch f.T {
	case "welcome":
		p.epoch = f.Epoch
	case "reset":
		return fmt.Errorf("reset: %s", f.Reason)
	case "error":
		return fmt.Errorf("refused: %s", f.Problem.Code)
	case "event":
		if f.ID == p.id && f.Seq <= p.cursor {
			return fmt.Errorf("event %d came after event %d", f.Seq, p.cursor)
		}
		p.id, p.cursor = f.ID, f.Seq
		if f.CarriesMessage() && f.Data.ClientID != "" {
			p.seen[f.Data.ClientID]++
		}
	}
	return nil
}

// check compares what was said with what was seen and with what is stored.
func (p *visit) check(ctx context.Context) error {
	stored, err := p.stored(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range p.sent {
		if p.seen[name] != 1 || stored[name] != 1 {
			errs = append(errs, fmt.Errorf("message %s of %s was seen %d times and is stored %d times", name, p.id, p.seen[name], stored[name]))
		}
	}
	return errors.Join(errs...)
}

// stored counts the visitor's messages by client id, as the server lists them.
func (p *visit) stored(ctx context.Context) (map[string]int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+"/v1/widget/conversations/current/messages?limit=100", http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, listBytes))
	if err != nil {
		return nil, err
	}
	var list struct {
		Data []struct {
			ClientID string `json:"client_id"`
		} `json:"data"`
	}
	if res.StatusCode != http.StatusOK || json.Unmarshal(raw, &list) != nil {
		return nil, fmt.Errorf("list of messages: status %d: %s", res.StatusCode, raw)
	}
	out := make(map[string]int)
	for _, m := range list.Data {
		if m.ClientID != "" {
			out[m.ClientID]++
		}
	}
	return out, nil
}
