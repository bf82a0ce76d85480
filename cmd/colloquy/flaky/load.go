package flaky

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	tick         = 10 * time.Millisecond
	repeatEvery  = 50 // one delivery in so many comes twice at the same time
	batchEvery   = 20 // and one in so many with two messages
	tries        = 20 // of a call that the node cannot take now
	betweenTries = 500 * time.Millisecond
	settleLook   = 500 * time.Millisecond
)

// tally counts what happens, and remembers what was acknowledged.
type tally struct {
	written, delivered, left atomic.Int64

	mu struct {
		sync.Mutex
		in, out map[string][]string // by person: ids and texts that the node has acknowledged
		refused string              // the first call that was not taken
	}
}

func (t *tally) acknowledge(list *map[string][]string, person string, what ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if *list == nil {
		*list = make(map[string][]string)
	}
	(*list)[person] = append((*list)[person], what...)
}

func (t *tally) refuse(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.refused == "" {
		t.mu.refused = why.Error()
	}
}

// load makes steps at the rate of the options until the time is over: somebody
// writes, and an agent writes back. A step that is due does not wait for those
// before it.
func (s *site) load(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Duration)
	defer cancel()
	var steps sync.WaitGroup
	defer steps.Wait()
	places := make(chan struct{}, inFlight)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	began, made := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.node.Done():
			return
		case now := <-ticker.C:
			for due := int(now.Sub(began).Seconds() * s.o.Rate); made < due; made++ {
				select {
				case places <- struct{}{}:
					n := made
					steps.Go(func() {
						s.step(context.WithoutCancel(ctx), n)
						<-places
					})
				default:
					s.tally.left.Add(1)
				}
			}
		}
	}
}

// step is a message of one person, and one back.
func (s *site) step(ctx context.Context, n int) {
	p := s.people[n%len(s.people)]
	id := fmt.Sprintf("%s-%d", p.name, n+1)
	ids := []string{id}
	if n%batchEvery == 0 {
		ids = append(ids, id+"b")
	}
	var twice sync.WaitGroup
	if n%repeatEvery == 0 {
		twice.Go(func() { s.deliver(ctx, p, ids) })
	}
	if s.deliver(ctx, p, ids) {
		s.tally.acknowledge(&s.tally.mu.in, p.name, ids...)
	}
	twice.Wait()
	s.reply(ctx, p, fmt.Sprintf("out %s", id))
}

// deliver repeats a delivery as a provider does, until it is acknowledged.
func (s *site) deliver(ctx context.Context, p *person, ids []string) bool {
	var err error
	status := 0
	for range tries {
		if status, err = s.client.deliver(ctx, p.account, p.name, ids...); err == nil && status == http.StatusOK {
			s.tally.delivered.Add(1)
			return true
		}
		time.Sleep(betweenTries)
	}
	s.tally.refuse(fmt.Errorf("delivery: status %d, %w", status, err))
	return false
}

// reply writes as an agent, under an id that makes repeating it harmless.
func (s *site) reply(ctx context.Context, p *person, text string) {
	var err error
	for range tries {
		var status int
		status, err = s.client.call(ctx, http.MethodPost, "/v1/conversations/"+p.conversation.String()+"/messages",
			map[string]any{"text": text, "client_id": text}, nil)
		if err == nil {
			s.tally.written.Add(1)
			s.tally.acknowledge(&s.tally.mu.out, p.name, text)
			return
		}
		if status/100 == 4 && status != http.StatusTooManyRequests && status != http.StatusConflict {
			break
		}
		time.Sleep(betweenTries)
	}
	s.tally.refuse(err)
}

// settle waits until the node has nothing left to send.
func (s *site) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleAtMost)
	defer cancel()
	look := time.NewTicker(settleLook)
	defer look.Stop()
	empty := 0
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the outbox is not empty after %v", settleAtMost)
		case <-s.node.Done():
			return fmt.Errorf("the node ended")
		case <-look.C:
		}
		rows, err := s.outboxRows(ctx)
		if err != nil {
			return err
		}
		if rows != "0" {
			empty = 0
			continue
		}
		if empty++; empty >= 3 { // what has just been acknowledged may come to it a moment later
			return nil
		}
	}
}

// outboxRows reads the node's own count.
func (s *site) outboxRows(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.node.Ops()+"/metrics", http.NoBody)
	if err != nil {
		return "", err
	}
	status, raw, err := s.client.do(req)
	if err != nil || status != http.StatusOK {
		return "", fmt.Errorf("metrics: status %d, %w", status, err)
	}
	lines := bufio.NewScanner(strings.NewReader(string(raw)))
	for lines.Scan() {
		if rows, ok := strings.CutPrefix(lines.Text(), "colloquy_outbox_rows "); ok {
			return rows, nil
		}
	}
	return "", fmt.Errorf("the node does not count its outbox")
}
