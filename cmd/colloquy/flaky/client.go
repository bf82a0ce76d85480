package flaky

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxAnswer bounds what is read of the node's answers.
const maxAnswer = 8 << 20

// client speaks to the node: as an admin, and as the provider that delivers.
type client struct {
	http  *http.Client
	addr  string
	token string
}

// call makes a call of the API. The status is there also when it is no success.
func (c *client) call(ctx context.Context, method, path string, body, answer any) (int, error) {
	var in io.Reader = http.NoBody
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.addr+path, in)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	status, raw, err := c.do(req)
	if err != nil {
		return 0, err
	}
	if status/100 != 2 {
		return status, fmt.Errorf("%s %s: status %d: %s", method, path, status, strings.TrimSpace(string(raw)))
	}
	if answer == nil {
		return status, nil
	}
	return status, json.Unmarshal(raw, answer)
}

func (c *client) do(req *http.Request) (int, []byte, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return res.StatusCode, raw, err
}

// deliver brings a visitor's messages, as WhatsApp does.
func (c *client) deliver(ctx context.Context, a *account, person string, ids ...string) (int, error) {
	messages := make([]string, len(ids))
	for i, id := range ids {
		messages[i] = fmt.Sprintf(`{"from":%q,"id":%q,"timestamp":"1","type":"text","text":{"body":%q}}`, person, id, "in "+id)
	}
	body := fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{`+
		`"messaging_product":"whatsapp","metadata":{"phone_number_id":%q},"messages":[%s]}}]}]}`, a.number, strings.Join(messages, ","))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.addr+a.path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	mac := hmac.New(sha256.New, []byte(appSecret))
	_, _ = io.WriteString(mac, body)
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	status, _, err := c.do(req)
	return status, err
}
