package channels_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

func provider(t *testing.T, c *http.Client) *channels.Provider {
	t.Helper()
	p, err := channels.NewProvider(channels.ProviderOptions{
		Client: c,
		Accounts: func(context.Context, conversation.InboxID) (channels.Account, error) {
			return channels.NewAccount("1", nil), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Many who need a token at once get one, and the provider is asked once.
func TestTokenIsFetchedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := provider(t, &http.Client{}), channels.NewAccount("1", nil)
		var fetched, forced atomic.Int32
		fetch := func(_ context.Context, force channels.TokenForce) (string, time.Duration, error) {
			time.Sleep(time.Second)
			if force {
				forced.Add(1)
			}
			return "token-" + strconv.Itoa(int(fetched.Add(1))), 2 * time.Hour, nil
		}
		ask := func() string {
			got, err := p.Token(t.Context(), a, fetch)
			if err != nil {
				t.Errorf("Token: %v", err)
			}
			return got
		}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if got := ask(); got != "token-1" {
					t.Errorf("Token = %s, want the first", got)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Hour + 50*time.Minute)
		if got := ask(); got != "token-1" {
			t.Errorf("Token = %s, want the first until five minutes before its end", got)
		}
		time.Sleep(6 * time.Minute)
		if got := ask(); got != "token-2" || forced.Load() != 0 {
			t.Errorf("Token = %s, forced %d times, want the second, without force", got, forced.Load())
		}
		p.Refused(t.Context(), a, "token-1") // an old story
		if got := ask(); got != "token-2" {
			t.Errorf("Token = %s, want the second", got)
		}
		p.Refused(t.Context(), a, "token-2")
		if got := ask(); got != "token-3" || forced.Load() != 1 {
			t.Errorf("Token = %s, forced %d times, want the third, by force", got, forced.Load())
		}
		p.Refused(t.Context(), a, "token-3")
		if got := ask(); got != "token-4" || forced.Load() != 1 {
			t.Errorf("Token = %s, forced %d times, want no force so soon after", got, forced.Load())
		}
		if got, err := p.Token(t.Context(), channels.NewAccount("2", nil), fetch); err != nil || got != "token-5" {
			t.Errorf("Token of another account = %s, %v", got, err)
		}
	})
}

// Whoever waits for a token gives up with its call.
func TestTokenWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, a := provider(t, &http.Client{}), channels.NewAccount("1", nil)
		slow := func(ctx context.Context, _ channels.TokenForce) (string, time.Duration, error) {
			<-ctx.Done()
			return "", 0, &channels.SendError{Class: channels.Retry, Code: "token"}
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				var e *channels.SendError
				if _, err := p.Token(ctx, a, slow); !errors.As(err, &e) || e.Class != channels.Retry {
					t.Errorf("Token error = %v, want class retry", err)
				}
			})
		}
		wg.Wait()
	})
}

// Whether a call can have been taken depends on whether anything was written.
func TestCallsThatFail(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var lc net.ListenConfig
	dropping, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dropping.Close() }()
	go func() {
		for {
			c, err := dropping.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1024))
			_ = c.Close()
		}
	}()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for _, c := range []struct {
		name, url string
		class     channels.Class
	}{
		{"nobody listens", gone.URL + "/canary", channels.Retry},
		{"dropped after the request", "http://" + dropping.Addr().String() + "/canary", channels.Unknown},
		{"no host", "http:///canary", channels.Permanent},
		{"user", "http://canary:x@127.0.0.1/", channels.Permanent},
		{"no address", "http://[canary", channels.Permanent},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := channels.Do(t.Context(), &http.Client{Transport: transport}, channels.Call{URL: c.url, JSON: map[string]string{"a": "<b>"}})
			var e *channels.SendError
			if !errors.As(err, &e) || e.Class != c.class {
				t.Fatalf("Do error = %v, want class %s", err, c.class)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error %v holds the address", err)
			}
		})
	}
}

func TestCallKeepsTheAnswerOfAFailure(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != `{"a":"<b>"}` || r.Header.Get("Authorization") != "Bearer x" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("got %s with %v", body, r.Header)
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"code":5}`)
	}))
	defer srv.Close()
	reply, err := provider(t, srv.Client()).Call(t.Context(), channels.Call{
		URL: srv.URL, JSON: map[string]string{"a": "<b>"}, Header: http.Header{"Authorization": {"Bearer x"}},
	})
	var e *channels.SendError
	if !errors.As(err, &e) || *e != (channels.SendError{Class: channels.Limited, Code: "http_429", After: 7 * time.Second}) {
		t.Errorf("Call error = %+v", err)
	}
	if string(reply.Body) != `{"code":5}` || reply.Status != http.StatusTooManyRequests {
		t.Errorf("Call = %d %s", reply.Status, reply.Body)
	}
}
