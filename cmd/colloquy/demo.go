package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/engine"
	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/persistence"
)

// The demo's fixed names.
const (
	demoShop       conversation.InboxID = "demo-shop"
	demoSchool     conversation.InboxID = "demo-school"
	demoAgent      conversation.AgentID = "demo"
	demoEmail                           = "demo@colloquy.example"
	demoCredential                      = "demo-shop-ingress" //nolint:gosec // the name of a credential, not its secret
)

// demo makes a node that can be tried out at once. Its password and credential
// are new at every start unless the environment names them, and are printed, not
// stored.
type demo struct {
	password string
	token    string
}

// newDemo checks that the demo stays on this machine and adds the shop's own
// API, which the order look-ups ask.
func newDemo(t *tool, o *engine.Options) (*demo, error) {
	host, _, err := net.SplitHostPort(o.Config.Listen)
	if err != nil {
		return nil, err
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--demo prints a login and allows look-ups on loopback, so it serves on a loopback address only, not on %s", host)
	}
	o.Config.Egress.AllowedCIDRs = append(o.Config.Egress.AllowedCIDRs, "127.0.0.0/8", "::1/128")
	o.Routes = map[string]http.Handler{
		"GET /demo/api/orders/{no}":   http.HandlerFunc(serveOrder),
		"GET /demo/api/refunds/{no}":  http.HandlerFunc(serveRefund),
		"GET /demo/api/students/{no}": http.HandlerFunc(serveStudent),
	}
	return &demo{
		password: variable(t.environ, "COLLOQUY_DEMO_PASSWORD", randomWord),
		token: variable(t.environ, "COLLOQUY_DEMO_TOKEN", func() string {
			token, _ := gateway.NewToken(gateway.CredentialInbox, time.Now())
			return token
		}),
	}, nil
}

func variable(environ []string, name string, otherwise func() string) string {
	for _, pair := range environ {
		if v, ok := strings.CutPrefix(pair, name+"="); ok && v != "" {
			return v
		}
	}
	return otherwise()
}

func randomWord() string {
	b := make([]byte, 18)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(b)
}

// start sets the demo up and says where it is.
func (d *demo) start(t *tool, e *engine.Engine) error {
	if err := d.setUp(t.ctx, e); err != nil {
		return fmt.Errorf("set up the demo: %w", err)
	}
	return d.print(t.stdout, e)
}

// setUp makes inboxes, the agent and the ingress credential, or brings them up
// to date.
func (d *demo) setUp(ctx context.Context, e *engine.Engine) error {
	base := "http://" + e.Addr() + "/demo/api"
	for _, in := range []conversation.Inbox{
		{ID: demoShop, Name: "云雀小店 Skylark Store", Lang: "zh", Packs: []string{"ecommerce"}, Origins: []string{"self"}, Vars: map[string]string{"shop_api": base}},
		{ID: demoSchool, Name: "晨曦课堂 Daybreak School", Lang: "zh", Packs: []string{"education"}, Origins: []string{"self"}, Vars: map[string]string{"school_api": base}},
	} {
		if err := putInbox(ctx, e.Store(), in); err != nil {
			return err
		}
	}
	if err := d.putAgent(ctx, e.Store()); err != nil {
		return err
	}
	return d.putCredential(ctx, e.Store())
}

func putInbox(ctx context.Context, s *persistence.Store, in conversation.Inbox) error {
	if old, err := s.Inbox(in.ID); err == nil {
		in.Version = old.Version
	} else if !errors.Is(err, conversation.ErrNotFound) {
		return err
	}
	_, err := s.PutInbox(ctx, in)
	return err
}

func (d *demo) putAgent(ctx context.Context, s *persistence.Store) error {
	hash, err := gateway.HashPassword(d.password)
	if err != nil {
		return err
	}
	a := conversation.Agent{ID: demoAgent, Name: "小云 Demo", Email: demoEmail, Role: conversation.RoleAdmin}
	if old, err := s.Agent(demoAgent); err == nil {
		a = old
	} else if !errors.Is(err, conversation.ErrNotFound) {
		return err
	}
	a.PasswordHash = hash
	_, err = s.PutAgent(ctx, a)
	return err
}

func (d *demo) putCredential(ctx context.Context, s *persistence.Store) error {
	return engine.PutTokenText(ctx, s, persistence.Credential{
		ID: demoCredential, Kind: persistence.CredentialKind(gateway.CredentialInbox), Inbox: demoShop,
	}, d.token)
}

func (d *demo) print(w io.Writer, e *engine.Engine) error {
	at := "http://" + e.Addr()
	_, err := fmt.Fprintf(w, `
Colloquy demo
  visitor   %[1]s/demo
  agent     %[1]s/agent    %[2]s  %[3]s
  webhook   curl -X POST %[1]s/webhook -H 'Authorization: Bearer %[4]s' -H 'X-Channel-Type: wechat' \
              -d '{"user":"uid123","text":"订单2023什么时候发货？","metadata":{}}'
  metrics   http://%[5]s/metrics

`, at, demoEmail, d.password, d.token, e.OpsAddr())
	return err
}
