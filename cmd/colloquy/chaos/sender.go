package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

const (
	webhookWait  = time.Second // for the bot, on the response
	webhookBytes = 64 << 10    // of an answer
)

// sender is a system that posts messages of one person to the webhook. It sends
// each one until some node has taken it, always with the same id.
type sender struct {
	client

	token string
	http  *http.Client
}

// run sends until quiet is closed and the last message is taken.
func (s *sender) run(ctx context.Context, quiet <-chan struct{}) {
	s.nextDue = time.Now().Add(s.pauseForThought())
	for {
		waiting, cancel := context.WithDeadline(ctx, s.nextDue)
		select {
		case <-quiet:
		case <-waiting.Done():
		}
		cancel()
		if closed(quiet) || ctx.Err() != nil {
			return
		}
		o := s.write(s.nextDue, nil)
		s.deliver(ctx, o)
		if s.nextDue = s.nextDue.Add(s.pauseForThought()); s.nextDue.Before(time.Now()) {
			s.nextDue = time.Now()
		}
	}
}

// deliver posts a message until it is taken, or refused for good.
func (s *sender) deliver(ctx context.Context, o *operation) {
	for ctx.Err() == nil {
		done, err := s.post(ctx, o)
		if err == nil && done {
			s.attempts = 0
			return
		}
		if s.attempts == 0 {
			s.reconnects++
		}
		s.at = s.roster.pick(s.random, s.at)
		s.backOff(ctx)
	}
}

// post makes one attempt. It reports true when no other is needed.
func (s *sender) post(ctx context.Context, o *operation) (bool, error) {
	if s.at == "" {
		s.at = s.roster.pick(s.random, "")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := json.Marshal(map[string]any{"user": fmt.Sprintf("user-%d", s.author.number), "text": o.text, "id": o.ref()})
	if err != nil {
		return false, err
	}
	address := fmt.Sprintf("http://%s/webhook?wait_ms=%d", s.at, webhookWait.Milliseconds())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.token)
	s.ledger.sent(o, s.at)
	res, err := s.http.Do(req)
	if err != nil {
		s.http.CloseIdleConnections() // they may lead to a node that is frozen
		return false, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, webhookBytes))
	if err != nil {
		return false, err
	}
	var answer struct {
		Conversation conversation.ConversationID `json:"conversation_id"`
		Seq          conversation.Seq            `json:"seq"`
		Code         conversation.Code           `json:"code"`
	}
	err = json.Unmarshal(raw, &answer)
	switch {
	case res.StatusCode/100 == 2 && err == nil && answer.Seq > 0:
		s.ledger.acknowledge(o, time.Now(), place{answer.Conversation, answer.Seq})
		return true, nil
	case res.StatusCode/100 == 4 && res.StatusCode != http.StatusTooManyRequests:
		s.refused(answer.Code)
		s.ledger.giveUp(o)
		return true, nil
	}
	return false, err
}
