package channels_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

// fetching is a driver whose provider has a list of events; the cursor counts
// them.
type fetching struct {
	scripted

	pull func(channels.Pull) (channels.Pulled, error)
}

func (f *fetching) Pull(_ context.Context, p channels.Pull) (channels.Pulled, error) {
	return f.pull(p)
}

func pullOf(texts ...string) func(channels.Pull) (channels.Pulled, error) {
	return func(p channels.Pull) (channels.Pulled, error) {
		n, _ := strconv.Atoi(string(p.Cursor))
		if n >= len(texts) {
			return channels.Pulled{Wait: time.Minute}, nil
		}
		return channels.Pulled{
			Events: []channels.Event{{Peer: "p", Ref: conversation.Ref("r" + strconv.Itoa(n)), Text: conversation.Text(texts[n])}},
			Cursor: []byte(strconv.Itoa(n + 1)), More: n+1 < len(texts),
		}, nil
	}
}

// fetched is a channel around a fetching driver, and what it handed in.
func fetched(t *testing.T, f *fetching, deliver func(conversation.Inbound) error) (*channels.Channel, *[]string) {
	t.Helper()
	var got []string
	r, err := channels.NewRegistry(channels.Options{
		Drivers: map[conversation.ChannelKind]channels.Driver{f.Kind(): f},
		Inbox:   func(id conversation.InboxID) (conversation.Inbox, error) { return conversation.Inbox{ID: id}, nil },
		Deliver: func(_ context.Context, in conversation.Inbound) (conversation.Receipt, error) {
			if err := deliver(in); err != nil {
				return conversation.Receipt{}, err
			}
			got = append(got, string(in.Text))
			return conversation.Receipt{Seq: 1}, nil
		},
		Contact: func(conversation.InboxID, conversation.ChannelKind, string) conversation.ContactID {
			return conversation.ContactID{9}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, ok := r.For(f.Kind(), "shop")
	if !ok {
		t.Fatal("For found nothing")
	}
	return c, &got
}

// The cursor moves only behind what is durable: while the store is down the same
// event is fetched again, and nothing overtakes it.
func TestPullLoopWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		refusals := 0
		f := &fetching{pull: pullOf("one", "two", "three")}
		c, got := fetched(t, f, func(in conversation.Inbound) error {
			if down.Load() && in.Text == "two" {
				refusals++
				return conversation.Refuse(conversation.CodeUnavailable, "no quorum")
			}
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); c.PullLoop(ctx) }()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if strings.Join(*got, " ") != "one" || refusals < 2 || !c.Health().Pulling {
			t.Errorf("handed in %q after %d refusals, want one event and several tries", *got, refusals)
		}
		down.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if strings.Join(*got, " ") != "one two three" {
			t.Errorf("handed in %q, want all in order and once", *got)
		}
		cancel()
		<-done
		if c.Health().Pulling {
			t.Error("the channel says that it fetches")
		}
	})
}

// A provider that fails is left alone for longer and longer.
func TestPullLoopBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		f := &fetching{pull: func(channels.Pull) (channels.Pulled, error) {
			calls++
			return channels.Pulled{}, &channels.SendError{Class: channels.Auth, Code: "http_401"}
		}}
		c, _ := fetched(t, f, func(conversation.Inbound) error { return nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		c.PullLoop(ctx)
		if calls < 10 || calls > 25 {
			t.Errorf("%d calls in an hour", calls)
		}
		if h := c.Health(); !h.Broken || h.Error != "auth: http_401" {
			t.Errorf("Health = %+v", h)
		}
	})
}

func TestPullLoopEndsForDeliveredAccounts(t *testing.T) {
	f := &fetching{pull: func(channels.Pull) (channels.Pulled, error) { return channels.Pulled{}, channels.ErrDelivered }}
	c, _ := fetched(t, f, func(conversation.Inbound) error { return nil })
	c.PullLoop(t.Context())
	if h := c.Health(); h.Error != "" {
		t.Errorf("Health = %+v, want no error", h)
	}
}

// An announcement is answered when everything it announced is durable.
func TestAnnouncedEventsAreFetchedBeforeTheAnswer(t *testing.T) {
	f := &fetching{pull: pullOf("one", "two", "three")}
	f.receive = func(channels.Request, []byte) ([]channels.Event, channels.Ack, error) {
		return nil, channels.Ack{Pull: "hint"}, nil
	}
	var failing error = conversation.Refuse(conversation.CodeUnavailable, "no quorum")
	c, got := fetched(t, f, func(in conversation.Inbound) error {
		if in.Text == "two" {
			return failing
		}
		return nil
	})
	announce := func() int {
		rec := httptest.NewRecorder()
		c.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/in", http.NoBody))
		return rec.Code
	}
	if status := announce(); status != http.StatusServiceUnavailable {
		t.Errorf("status %d while the store is down, want 503", status)
	}
	failing = nil
	if status := announce(); status != http.StatusOK || strings.Join(*got, " ") != "one two three" {
		t.Errorf("status %d, handed in %q", status, *got)
	}
	f.pull = func(p channels.Pull) (channels.Pulled, error) {
		if p.Hint != "hint" || string(p.Cursor) != "3" {
			t.Errorf("asked with hint %q and cursor %q", p.Hint, p.Cursor)
		}
		return channels.Pulled{}, errors.New("canary")
	}
	if status := announce(); status != http.StatusServiceUnavailable {
		t.Errorf("status %d while the provider is down, want 503", status)
	}
}

// configurable is a driver that needs accounts.
type configurable struct{ scripted }

func (c *configurable) Settings() []channels.Setting { return nil }

func (c *configurable) Check(context.Context, conversation.InboxID) (string, error) { return "", nil }

// An inbox without an account with a provider may still have a bridge to it.
func TestInboxWithoutAccountUsesTheBridge(t *testing.T) {
	own, bridge := &configurable{}, &scripted{kind: conversation.ChannelWebhook}
	r, err := channels.NewRegistry(channels.Options{
		Drivers: map[conversation.ChannelKind]channels.Driver{own.Kind(): own, bridge.kind: bridge}, Bridge: bridge.kind,
		HasAccount: func(_ conversation.ChannelKind, inbox conversation.InboxID) bool { return inbox == "shop" },
		Inbox:      func(id conversation.InboxID) (conversation.Inbox, error) { return conversation.Inbox{ID: id}, nil },
		Deliver: func(context.Context, conversation.Inbound) (conversation.Receipt, error) {
			return conversation.Receipt{}, nil
		},
		Contact: func(conversation.InboxID, conversation.ChannelKind, string) conversation.ContactID {
			return conversation.ContactID{}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for inbox, want := range map[conversation.InboxID]conversation.ChannelKind{"shop": own.Kind(), "desk": bridge.kind} {
		if c, ok := r.For(own.Kind(), inbox); !ok || c.Kind() != want {
			t.Errorf("For(%s) is of kind %s, want %s", inbox, c.Kind(), want)
		}
	}
}
