package channeltest_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/channels/channeltest"
	"github.com/colloquyhq/colloquy/conversation"
)

// faultEnv tells the second process which fault its driver has.
const faultEnv = "CHANNELTEST_FAULT"

// toy is a small driver that can be broken in the ways that real ones break.
type toy struct {
	client *http.Client
	fault  string
	sends  atomic.Int64
}

type toyMessage struct {
	Peer string `json:"peer"`
	Ref  string `json:"ref"`
	Text string `json:"text"`
	Kind string `json:"kind"`
}

func toySum(body []byte, at string) string {
	mac := hmac.New(sha256.New, []byte("key"))
	_, _ = mac.Write([]byte(at + "."))
	_, _ = mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func (d *toy) Kind() conversation.ChannelKind { return conversation.ChannelTelegram }

func (d *toy) Limits() channels.Limits {
	return channels.Limits{MaxText: 4096, Idempotent: true, SendTimeout: 10 * time.Second}
}

func (d *toy) Receive(_ context.Context, r channels.Request, body []byte) ([]channels.Event, channels.Ack, error) {
	refused := conversation.Refuse(conversation.CodeUnauthenticated, "no")
	given := r.Header.Get("X-Sum")
	if d.fault == "signature not checked" {
		given = toySum(body, r.Header.Get("X-At"))
	}
	if d.fault == "signature in any case" {
		given = strings.ToLower(given)
	}
	if !hmac.Equal([]byte(given), []byte(toySum(body, r.Header.Get("X-At")))) {
		return nil, channels.Ack{}, refused
	}
	seconds, err := strconv.ParseInt(r.Header.Get("X-At"), 10, 64)
	if off := r.At.Sub(time.Unix(seconds, 0)); err != nil || off.Abs() > 5*time.Minute && d.fault != "clock not checked" {
		return nil, channels.Ack{}, refused
	}
	if d.fault == "panics on bad UTF-8" && !utf8.Valid(body) {
		panic("bad UTF-8")
	}
	var all []toyMessage
	if err := json.Unmarshal(body, &all); err != nil {
		if d.fault == "quotes the body" {
			return nil, channels.Ack{}, conversation.Refuse(conversation.CodeBadJSON, string(body))
		}
		return nil, channels.Ack{}, conversation.Refuse(conversation.CodeBadJSON, "not a list of messages")
	}
	events, err := d.events(all)
	return events, channels.Ack{}, err
}

func (d *toy) events(all []toyMessage) ([]channels.Event, error) {
	var events []channels.Event
	for _, m := range all {
		if m.Peer == "" && d.fault != "sender not checked" || len(m.Ref) > conversation.MaxRefBytes {
			return nil, conversation.Refuse(conversation.CodeInvalid, "a message lacks its sender")
		}
		e := channels.Event{Peer: m.Peer, Ref: conversation.Ref(m.Ref), Text: conversation.Text(m.Text), Unsupported: m.Kind}
		if m.Kind != "" && d.fault != "drops the raw content" && d.fault != "drops the raw content of deliveries" {
			e.Keep(m.Kind, []byte("{}"))
		}
		if m.Kind != "" && d.fault == "unknown kinds are errors" {
			return nil, conversation.Refuse(conversation.CodeInvalid, "unknown kind")
		}
		if d.fault == "no ref" {
			e.Ref = ""
		}
		events = append(events, e)
	}
	switch {
	case d.fault == "first of a batch only" && len(events) > 1:
		events = events[:1]
	case d.fault == "batch reversed":
		slices.Reverse(events)
	}
	return events, nil
}

func (d *toy) Send(ctx context.Context, p channels.Part) (string, error) {
	key := p.Key
	if d.fault == "new key each time" {
		key += strconv.FormatInt(d.sends.Add(1), 10)
	}
	if d.fault == "leaves a goroutine" {
		go func() { select {} }()
	}
	if d.fault == "ignores the deadline" {
		ctx = context.WithoutCancel(ctx)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 10*time.Minute)
		defer cancel()
	}
	body, err := json.Marshal(toyMessage{Peer: p.Peer, Text: string(p.Text), Ref: key})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://provider.example/send", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		if d.fault == "quotes the text" {
			return "", &channels.SendError{Class: channels.Retry, Err: fmt.Errorf("send %q: %w", string(p.Text), err)}
		}
		return "", &channels.SendError{Class: channels.Retry, Code: "transport", Err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	limit := int64(64 << 10)
	if d.fault == "reads a long answer" {
		limit = 8 << 20
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, limit))
	class := toyClass(resp.StatusCode)
	if d.fault == "takes 410 for a failure" && resp.StatusCode == http.StatusGone {
		class = channels.Retry
	}
	if class == "" {
		return key, nil
	}
	after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if at, dateErr := http.ParseTime(resp.Header.Get("Retry-After")); dateErr == nil {
		after, err = int(time.Until(at).Seconds()), nil
	}
	if err != nil || d.fault == "drops Retry-After" {
		after = 0
	}
	return "", &channels.SendError{Class: class, After: time.Duration(min(max(after, 0), 86400)) * time.Second}
}

// Pull fetches ten messages at a time; the cursor counts them.
func (d *toy) Pull(ctx context.Context, p channels.Pull) (channels.Pulled, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://provider.example/messages", nil)
	if err != nil {
		return channels.Pulled{}, err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return channels.Pulled{}, &channels.SendError{Class: channels.Retry, Code: "transport", Err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	var all []toyMessage
	if class := toyClass(resp.StatusCode); class != "" || json.NewDecoder(resp.Body).Decode(&all) != nil {
		return channels.Pulled{}, &channels.SendError{Class: channels.Retry, Code: "answer"}
	}
	from, _ := strconv.Atoi(string(p.Cursor))
	to := min(from+10, len(all))
	events, err := d.events(all[from:to])
	if d.fault == "cursor runs ahead" {
		to = len(all)
	}
	return channels.Pulled{Events: events, Cursor: []byte(strconv.Itoa(to))}, err
}

// toyList gives all messages to whoever asks.
type toyList []toyMessage

func (l toyList) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := json.Marshal(l)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(b)), Request: r}, err
}

func toyClass(status int) channels.Class {
	switch {
	case status < 300:
		return ""
	case status == http.StatusGone:
		return channels.Gone
	case status == http.StatusTooManyRequests:
		return channels.Limited
	case status < 500:
		return channels.Permanent
	}
	return channels.Retry
}

func toySuite(fault string) channeltest.Suite {
	sign := func(_ testing.TB, body []byte, at time.Time) channeltest.Delivery {
		seconds := strconv.FormatInt(at.Unix(), 10)
		h := http.Header{}
		h.Set("X-At", seconds)
		h.Set("X-Sum", toySum(body, seconds))
		return channeltest.Delivery{Header: h, Body: body}
	}
	build := func(_ testing.TB, rt http.RoundTripper) channels.Driver {
		client := &http.Client{Transport: rt}
		if fault != "follows redirects" {
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		}
		return &toy{client: client, fault: fault}
	}
	return channeltest.Suite{
		New: build,
		Ref: func(i int) string { return "ref-" + strconv.Itoa(i) },
		Pulled: &channeltest.Pulled{New: build, Provider: func(_ testing.TB, messages []channeltest.Message) http.RoundTripper {
			var all toyList
			for _, m := range messages {
				all = append(all, toyMessage{Peer: m.Peer, Ref: m.Ref, Text: m.Text, Kind: m.Kind})
			}
			return all
		}},
		Account: "toy",
		Features: channeltest.Features{
			Inbound: true, Clock: true, Batch: true, Unsupported: true, Outbound: true, Timeout: channels.Retry,
		},
		Deliver: func(t testing.TB, messages []channeltest.Message, at time.Time) channeltest.Delivery {
			t.Helper()
			all := make([]toyMessage, len(messages))
			for i, m := range messages {
				all[i] = toyMessage{Peer: m.Peer, Ref: m.Ref, Text: m.Text, Kind: m.Kind}
			}
			body, err := json.Marshal(all)
			if err != nil {
				t.Fatalf("Marshal: %v", err)
			}
			return sign(t, body, at)
		},
		Sign:             sign,
		SignatureHeaders: []string{"X-At", "X-Sum"},
		Decode: func(t testing.TB, _ *http.Request, body []byte) channeltest.Sent {
			t.Helper()
			var m toyMessage
			if err := json.Unmarshal(body, &m); err != nil {
				t.Fatalf("Unmarshal: %v", err)
			}
			return channeltest.Sent{Peer: m.Peer, Text: m.Text, Key: m.Ref}
		},
		ClassOf: toyClass,
	}
}

// TestToy runs the suite; alone with a sound driver, and in a second process
// with a broken one.
func TestToy(t *testing.T) { channeltest.Run(t, toySuite(os.Getenv(faultEnv))) }

// The suite is worth something only if it fails for drivers that are broken.
func TestSuiteFindsFaults(t *testing.T) {
	t.Parallel()
	if os.Getenv(faultEnv) != "" {
		t.Skip("this is the second process")
	}
	if testing.Short() {
		t.Skip("a process for each fault takes minutes with the race detector, which finds nothing in it that the sound driver does not show")
	}
	for fault, finding := range map[string]string{
		"signature not checked":    "may_change",
		"signature in any case":    "no_bit_of_the_signature",
		"clock not checked":        "old_and_early",
		"panics on bad UTF-8":      "panic",
		"quotes the body":          "errors_and_logs_hold_no_text",
		"sender not checked":       "names no sender",
		"unknown kinds are errors": "unknown_kinds_are_kept",
		"no ref":                   "a_repeated_delivery",
		"first of a batch only":    "a_batch_keeps_its_order",
		"batch reversed":           "a_batch_keeps_its_order",
		"new key each time":        "a_repeated_send",
		"leaves a goroutine":       "blocked goroutines",
		"ignores the deadline":     "no_answer",
		"quotes the text":          "errors_hold_no_text",
		"reads a long answer":      "an_answer_without_end",
		"takes 410 for a failure":  "each_status",
		"drops Retry-After":        "the_wait_that_the_provider",
		"follows redirects":        "each_status",
		"cursor runs ahead":        "what_is_fetched_keeps_its_order",
		"drops the raw content":    "unknown_kinds_that_are_fetched",

		"drops the raw content of deliveries": "unknown_kinds_are_kept",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestToy$", "-test.timeout=5m")
			cmd.Env = append(os.Environ(), faultEnv+"="+fault)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Fatalf("the suite passes (%v):\n%s", err, out)
			}
			if !strings.Contains(string(out), finding) {
				t.Errorf("the suite fails without naming %q:\n%s", finding, tail(out))
			}
		})
	}
}

func tail(b []byte) []byte { return b[max(0, len(b)-2000):] }
