package chaos

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/conversation"
)

// How clients behave. They are a little less patient than the pages that come
// with the program, so that they notice a frozen node sooner.
const (
	patience     = 2 * time.Second // for an answer, before trying another node
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = time.Second
	maxWaiting   = 4   // messages that one client has written and nobody has acknowledged
	frameBuffer  = 256 // frames that came and were not looked at
	idleLook     = 100 * time.Millisecond
)

// client is what all clients have in common. One goroutine owns it.
type client struct {
	author author
	ledger *ledger
	roster *roster
	random *rand.Rand
	think  time.Duration

	at         string // the node that is, or was, spoken to
	attempts   int    // since the last success
	written    int
	nextDue    time.Time
	connects   int
	reconnects int
	refusals   map[conversation.Code]int // refused for good
}

// sayings are plain questions that the bot of the e-commerce pack answers by
// itself, in both languages.
func sayings() []string {
	return []string{"运费怎么算", "满多少包邮", "how much is shipping", "is there free shipping", "支持哪些付款方式", "what payment methods do you accept", "怎么退货", "how do I return an item"}
}

// pauseForThought is how long the client waits before its next message.
func (c *client) pauseForThought() time.Duration {
	return 1 + time.Duration(c.random.Int64N(int64(c.think)))
}

// write makes the next message, which its author wanted sent at due, with what
// was seen before.
func (c *client) write(due time.Time, seen *view) *operation {
	texts := sayings()
	o := &operation{author: c.author, number: c.written, text: texts[c.random.IntN(len(texts))], due: c.ledger.since(due)}
	if seen != nil {
		o.saw = place{seen.id, seen.cursor}
	}
	c.written++
	c.ledger.enter(o)
	return o
}

// backOff waits before the next attempt, longer after each failure.
func (c *client) backOff(ctx context.Context) {
	ceiling := min(firstBackoff<<min(c.attempts, 10), lastBackoff)
	c.attempts++
	pause(ctx, time.Duration(c.random.Int64N(int64(ceiling))))
}

// connect opens a socket to another node than the last one. Frames come through
// the channel until the session's context ends.
func (c *client) connect(ctx context.Context, h lab.Hello) (*lab.Link, <-chan *lab.Frame, error) {
	if c.attempts > 0 || c.at == "" {
		c.at = c.roster.pick(c.random, c.at)
	}
	h.Addr, h.Timeout = c.at, patience
	frames := make(chan *lab.Frame, frameBuffer)
	l, err := lab.Dial(ctx, h, func(f *lab.Frame) {
		select {
		case frames <- f:
		case <-ctx.Done():
		}
	})
	if err == nil {
		c.connects++
	}
	return l, frames, err
}

func (c *client) refused(code conversation.Code) {
	if c.refusals == nil {
		c.refusals = map[conversation.Code]int{}
	}
	c.refusals[code]++
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// closed reports whether a channel has been closed.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
