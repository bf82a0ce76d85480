package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/colloquyhq/colloquy/channels"
	"github.com/colloquyhq/colloquy/conversation"
)

const (
	maxResponse   = 64 << 10
	maxProviderID = 128
)

// Send implements [channels.Driver]. The provider's name of the message is the
// "id" of the response if it is a JSON object with one, else the webhook-id.
func (d *Driver) Send(ctx context.Context, p channels.Part) (string, error) {
	account, err := d.accounts(ctx, p.Inbox)
	switch {
	case errors.Is(err, conversation.ErrNotFound):
		return "", failure(channels.Permanent, "no_account")
	case err != nil:
		return "", &channels.SendError{Class: channels.Retry, Scope: channels.ScopeAccount, Code: "account_unavailable", Err: err}
	case account.CallbackURL == "":
		return "", failure(channels.Permanent, "no_callback_url")
	case len(account.Secrets) == 0:
		return "", failure(channels.Permanent, "no_secret")
	}
	req, err := d.request(ctx, account, p)
	if err != nil {
		return "", err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return "", transportFailure(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if refusal := statusFailure(resp, time.Now()); refusal != nil {
		return "", refusal
	}
	if err != nil {
		// The status says that it was taken; what else the body holds does not
		// matter.
		return p.Key, nil
	}
	return providerID(body, p.Key), nil
}

// request makes the signed post.
func (d *Driver) request(ctx context.Context, account Account, p channels.Part) (*http.Request, error) {
	target, err := url.Parse(account.CallbackURL)
	if err != nil || target.Host == "" || target.User != nil || target.Scheme != "https" && target.Scheme != "http" {
		return nil, failure(channels.Permanent, "bad_callback_url")
	}
	body, err := encode(p)
	if err != nil {
		return nil, failure(channels.Permanent, "not_encodable")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, failure(channels.Permanent, "bad_callback_url")
	}
	now := time.Now()
	signatures := make([]string, len(account.Secrets))
	for i, s := range account.Secrets {
		signatures[i] = s.Sign(p.Key, now, body)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", d.agent)
	req.Header.Set(HeaderID, p.Key)
	req.Header.Set(HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(HeaderSignature, strings.Join(signatures, " "))
	return req, nil
}

func failure(c channels.Class, code string) *channels.SendError {
	return &channels.SendError{Class: c, Scope: channels.ScopeAccount, Code: code}
}

// transportFailure is always worth a repetition, even if the receiver may have
// taken the message: it can drop what it knows by the webhook-id. The address
// is left out of the error, since customers put tokens into it.
func transportFailure(err error) *channels.SendError {
	out := failure(channels.Retry, "transport")
	if errors.Is(err, context.DeadlineExceeded) {
		out.Code = "timeout"
	}
	var where *url.Error
	if errors.As(err, &where) {
		err = where.Err
	}
	out.Err = err
	return out
}

// statusFailure gives nil for success. Other statuses are worth repeating
// unless they say that this very message, or this address, is wrong.
//
// Source: Standard Webhooks 1.0.0, "Delivery success and failure".
func statusFailure(resp *http.Response, now time.Time) *channels.SendError {
	code := resp.StatusCode
	if code >= 200 && code <= 299 {
		return nil
	}
	out := failure(channels.Retry, "http_"+strconv.Itoa(code))
	switch {
	case code == http.StatusGone:
		out.Class = channels.Gone
	case code == http.StatusTooManyRequests:
		out.Class = channels.Limited
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		out.Class = channels.Auth
	case code < 400:
		out.Class = channels.Permanent // redirects are not followed
	case code == http.StatusBadRequest, code == http.StatusMethodNotAllowed, code == http.StatusRequestEntityTooLarge,
		code == http.StatusUnsupportedMediaType, code == http.StatusUnprocessableEntity:
		out.Class = channels.Permanent
	}
	out.After = channels.RetryAfter(resp.Header, now)
	return out
}

// providerID finds the receiver's own name for the message.
func providerID(body []byte, key string) string {
	var answer struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.ID == "" || len(answer.ID) > maxProviderID {
		return key
	}
	return answer.ID
}
