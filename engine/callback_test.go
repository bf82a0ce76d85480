package engine

import (
	"crypto/sha256"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/colloquyhq/colloquy/channels/webhook"
	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/persistence"
)

// askedByAgent lets a visitor write on a channel without a driver of its own,
// and an agent answer. It gives the answer's place.
func askedByAgent(t *testing.T, e *Engine, callback string) conversation.Receipt {
	t.Helper()
	putInbox(t, e, conversation.Inbox{ID: "desk", Name: "Desk", Lang: "en", CallbackURL: callback})
	hash := sha256.Sum256([]byte("ibx_test"))
	_, err := e.Store().PutCredential(t.Context(), persistence.Credential{
		ID: "desk", Kind: persistence.CredentialKind(gateway.CredentialInbox), Hash: hash[:], Inbox: "desk", CreatedAt: time.Now().UTC(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Store().PutAgent(t.Context(), conversation.Agent{ID: "ann", Name: "Ann", Email: "ann@example.com", Role: conversation.RoleAgent}); err != nil {
		t.Fatal(err)
	}
	in := visitor("desk", "is anybody there")
	in.Channel, in.Peer, in.Wait = conversation.ChannelWeChat, "uid-7", 0
	first := say(t, e, in)
	r, err := e.Actors().Do(t.Context(), first.Conversation, conversation.ReplyAsAgent{Agent: "ann", Ref: "a1", Text: "yes, Ann is"})
	if err != nil {
		t.Fatal(err)
	}
	r.Conversation = first.Conversation
	return r
}

// deliveries gives what the log says about the fate of a message.
func deliveries(t *testing.T, e *Engine, r conversation.Receipt) []conversation.MessageSent {
	t.Helper()
	entries, err := e.Store().Entries(t.Context(), r.Conversation, r.Seq, 50)
	if err != nil {
		t.Fatal(err)
	}
	var out []conversation.MessageSent
	for _, entry := range entries {
		if d, ok := entry.Event.(conversation.MessageSent); ok {
			out = append(out, d)
		}
	}
	return out
}

// What an agent writes reaches the callback of the inbox, signed with the secret
// that the inbox's owner was shown.
func TestAgentReplyIsPostedToTheCallback(t *testing.T) {
	t.Parallel()
	o := quietOptions(t, io.Discard)
	o.Config.Egress.AllowedCIDRs = []string{"127.0.0.0/8"}
	e, _ := serving(t, o)
	type post struct {
		header http.Header
		body   []byte
	}
	posts := make(chan post, 8)
	var calls atomic.Int32
	srv, _ := inside(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posts <- post{r.Header, body}
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable) // the first attempt fails
		}
	})
	reply := askedByAgent(t, e, srv.URL+"/hook?token=t0ken")
	var ids []string
	for range 2 {
		select {
		case p := <-posts:
			if !strings.Contains(string(p.body), "yes, Ann is") || !strings.Contains(string(p.body), "uid-7") {
				t.Errorf("the post holds %s", p.body)
			}
			var secrets []webhook.Secret
			for _, text := range e.gateway.SigningSecrets("desk", time.Now()) {
				s, err := webhook.ParseSecret(text)
				if err != nil {
					t.Fatal(err)
				}
				secrets = append(secrets, s)
			}
			id, err := webhook.Verify(secrets, p.header, p.body, time.Now())
			if err != nil {
				t.Errorf("the signature does not fit: %v", err)
			}
			ids = append(ids, id)
		case <-time.After(deadline):
			t.Fatalf("%d posts came, want a first and a second attempt", len(ids))
		}
	}
	if ids[0] != ids[1] || ids[0] == "" {
		t.Errorf("webhook-ids %q, want one and the same, to drop repetitions by", ids)
	}
	eventually(t, "the delivery is recorded", func() bool {
		d := deliveries(t, e, reply)
		return len(d) == 1 && d[0].Message == reply.Seq && d[0].Result == conversation.DeliverySent
	})
	rows, _, err := (lists{e.Store()}).Unsent(t.Context(), "", 10)
	if err != nil || len(rows) != 0 {
		t.Errorf("unsent: %v, %v, want none", rows, err)
	}
}

// A callback that leads inside is not called, and the message is kept to try
// again once the operator has allowed it.
func TestCallbackInsideIsRefused(t *testing.T) {
	t.Parallel()
	var log record
	o := quietOptions(t, &log)
	e, _ := serving(t, o)
	srv, hits := inside(t, func(http.ResponseWriter, *http.Request) {})
	reply := askedByAgent(t, e, srv.URL+"/hook?token=t0ken")
	eventually(t, "an attempt has failed", func() bool {
		_, body := fetch(t, "http://"+e.OpsAddr()+"/metrics")
		for line := range strings.Lines(body) {
			if strings.HasPrefix(line, "colloquy_channel_send_errors_total{") && strings.Contains(line, `class="retry"`) && !strings.HasSuffix(line, " 0\n") {
				return true
			}
		}
		return false
	})
	if hits.Load() != 0 {
		t.Error("the server inside was called")
	}
	rows, next, err := (lists{e.Store()}).Unsent(t.Context(), "", 1)
	if err != nil || len(rows) != 1 || rows[0].Message != reply.Seq {
		t.Errorf("unsent: %v, %v, want the reply", rows, err)
	}
	if next != "" {
		if rows, _, err = (lists{e.Store()}).Unsent(t.Context(), next, 1); err != nil || len(rows) != 0 {
			t.Errorf("behind the last row: %v, %v", rows, err)
		}
	}
	if _, _, err := (lists{e.Store()}).Unsent(t.Context(), "no cursor", 1); err == nil {
		t.Error("a cursor that is none was taken")
	}
	if strings.Contains(log.String(), "t0ken") || strings.Contains(log.String(), "yes, Ann") {
		t.Errorf("the log holds the address or the message:\n%s", log.String())
	}
}
