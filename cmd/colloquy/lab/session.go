package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// answerBytes bounds what is read of an HTTP answer.
const answerBytes = 64 << 10

// VisitorToken is what the widget gets before it connects.
func VisitorToken(ctx context.Context, addr string, inbox conversation.InboxID) (string, error) {
	body, err := json.Marshal(map[string]string{"inbox": string(inbox)})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/widget/session", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", "http://"+addr)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, answerBytes))
	if err != nil {
		return "", err
	}
	var session struct {
		Token string `json:"token"`
	}
	if res.StatusCode/100 != 2 || json.Unmarshal(raw, &session) != nil || session.Token == "" {
		return "", fmt.Errorf("visitor session: status %d: %s", res.StatusCode, strings.TrimSpace(string(raw)))
	}
	return session.Token, nil
}
