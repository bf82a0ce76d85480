package flaky

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	appSecret    = "app-secret"
	accounts     = 8 // the provider takes 80 messages a second from each
	patience     = 30 * time.Second
	inFlight     = 256 // steps of the load at a time; beyond it one is left out and counted
	settleAtMost = 5 * time.Minute
)

// Options say how long, and how much.
type Options struct {
	Duration time.Duration
	Rate     float64 // messages a second, each way
	People   int     // who write, and are written to
	Seed     uint64  // of the faults
	Dir      string  // for the data, which is removed
	Version  string
	Progress io.Writer // nil = silent
}

// Validate reports everything that is wrong.
func (o *Options) Validate() error {
	if o.Duration <= 0 || o.Rate <= 0 || o.Rate > 10_000 || o.People < accounts {
		return fmt.Errorf("--duration and --rate must be above zero, --rate at most 10,000 and --people at least %d", accounts)
	}
	return nil
}

// account is an inbox with a number of its own.
type account struct {
	inbox  conversation.InboxID
	number string
	path   string // of deliveries
}

// person is somebody who writes to one of the accounts.
type person struct {
	name         string
	account      *account
	conversation conversation.ConversationID
}

// Run lets the provider fail. The report is there even when it is bad; an error
// means that there is no report. An interrupt ends the load early.
func Run(ctx context.Context, o *Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "colloquy-flaky-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	keys, err := lab.Furnish(ctx, dir, lab.House{Agents: 1})
	if err != nil {
		return nil, err
	}
	prov := newProvider(o.Seed)
	server := httptest.NewServer(prov)
	defer server.Close()
	n, err := lab.Start(ctx, &lab.Spec{
		Dir: dir, Settings: []string{"egress.allowed_cidrs=127.0.0.0/8"},
		Environ: []string{"COLLOQUY_CHANNELS_KEY=" + rand.Text() + rand.Text()},
	})
	if err != nil {
		return nil, err
	}
	s := &site{
		o: o, node: n, provider: prov, api: server.URL,
		client: &client{
			http: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * inFlight, MaxConnsPerHost: 2 * inFlight}},
			addr: n.Addr(), token: keys.Agents[0].Token,
		},
	}
	r, err := s.run(ctx)
	if err != nil {
		err = fmt.Errorf("%w\nthe node's log:\n%s", err, n.Log())
	}
	return r, errors.Join(err, n.Stop())
}

// site is the node with its provider and those who write.
type site struct {
	o        *Options
	node     *lab.Node
	provider *provider
	api      string
	client   *client
	accounts []*account
	people   []*person
	tally    tally
}

func (s *site) run(ctx context.Context) (*Report, error) {
	if err := s.furnish(ctx); err != nil {
		return nil, err
	}
	s.say("%d people have written to %d accounts; the provider begins to fail", len(s.people), len(s.accounts))
	began := time.Now()
	s.load(ctx)
	took := time.Since(began)
	s.say("%d messages were written in %v; waiting until all are settled", s.tally.written.Load(), took.Round(time.Second))
	work := context.WithoutCancel(ctx)
	if err := s.settle(work); err != nil {
		return nil, err
	}
	r := &Report{Seconds: took.Seconds(), SettledAfter: (time.Since(began) - took).Seconds(), Rate: s.o.Rate, People: len(s.people), Version: s.o.Version}
	r.Faults, r.Calls = s.provider.counts()
	if err := s.audit(work, r); err != nil {
		return nil, err
	}
	r.judge()
	return r, nil
}

func (s *site) say(format string, args ...any) {
	if s.o.Progress != nil {
		_, _ = fmt.Fprintf(s.o.Progress, format+"\n", args...)
	}
}

// furnish gives the node its accounts, and lets everybody write once.
func (s *site) furnish(ctx context.Context) error {
	for i := range accounts {
		a := &account{inbox: conversation.InboxID(fmt.Sprintf("number-%d", i)), number: fmt.Sprint(1000 + i)}
		if _, err := s.client.call(ctx, http.MethodPost, "/v1/inboxes", map[string]any{"id": a.inbox, "name": a.inbox, "lang": "en"}, nil); err != nil {
			return err
		}
		var v struct {
			Path string `json:"path"`
		}
		settings := map[string]string{
			"access_token": "token", "app_secret": appSecret, "verify_token": "verify", "phone_number_id": a.number, "api_url": s.api,
		}
		path := "/v1/inboxes/" + string(a.inbox) + "/channels/whatsapp"
		if _, err := s.client.call(ctx, http.MethodPut, path, map[string]any{"settings": settings}, &v); err != nil {
			return err
		}
		a.path = v.Path
		s.accounts = append(s.accounts, a)
	}
	for i := range s.o.People {
		p := &person{name: fmt.Sprint(490_000_000 + i), account: s.accounts[i%accounts]}
		if status, err := s.client.deliver(ctx, p.account, p.name, fmt.Sprintf("%s-0", p.name)); err != nil || status != http.StatusOK {
			return fmt.Errorf("the first message of %s: status %d, %w", p.name, status, err)
		}
		s.people = append(s.people, p)
	}
	return s.findConversations(ctx)
}

// findConversations learns under which id each person's conversation goes on.
func (s *site) findConversations(ctx context.Context) error {
	ids := make(map[string]conversation.ConversationID)
	cursor := ""
	for {
		var page struct {
			Data []struct {
				ID   conversation.ConversationID `json:"id"`
				Peer string                      `json:"peer"`
			} `json:"data"`
			Meta struct {
				Next string `json:"next_cursor"`
			} `json:"meta"`
		}
		if _, err := s.client.call(ctx, http.MethodGet, "/v1/conversations?limit=200&cursor="+cursor, nil, &page); err != nil {
			return err
		}
		for _, c := range page.Data {
			ids[c.Peer] = c.ID
		}
		if cursor = page.Meta.Next; cursor == "" {
			break
		}
	}
	for _, p := range s.people {
		if p.conversation = ids[p.name]; p.conversation.IsZero() {
			return fmt.Errorf("%s has no conversation", p.name)
		}
	}
	return nil
}
