package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const maxAPIAnswer = 4 << 20

// apiFlags choose the running node that is asked through its API, and who asks.
type apiFlags struct {
	API       string        `help:"Address of a node." default:"http://127.0.0.1:8080" env:"COLLOQUY_API" placeholder:"URL"`
	TokenFile string        `help:"File with an admin's token, from POST /v1/tokens; default: the variable COLLOQUY_API_TOKEN." placeholder:"FILE"`
	Timeout   time.Duration `help:"How long to wait for the answer." default:"15s"`
}

// call makes one call. Errors: what the node says, with its code.
func (f *apiFlags) call(t *tool, method, path string, body, answer any) error {
	token, err := f.token(t)
	if err != nil {
		return &failure{exitUsage, err}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(t.ctx, f.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(f.API, "/")+path, bytes.NewReader(raw))
	if err != nil {
		return &failure{exitUsage, err}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(io.LimitReader(res.Body, maxAPIAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return problemOf(res.StatusCode, got)
	}
	return json.Unmarshal(got, answer)
}

func (f *apiFlags) token(t *tool) (string, error) {
	if f.TokenFile != "" {
		raw, err := os.ReadFile(f.TokenFile)
		return strings.TrimSpace(string(raw)), err
	}
	for _, pair := range t.environ {
		if token, ok := strings.CutPrefix(pair, "COLLOQUY_API_TOKEN="); ok {
			return token, nil
		}
	}
	return "", errors.New("an admin's token is needed: --token-file, or COLLOQUY_API_TOKEN")
}

// problemOf reads what the node says is wrong.
func problemOf(status int, body []byte) error {
	var p struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
		Code   string `json:"code"`
		Hint   string `json:"hint"`
	}
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		return fmt.Errorf("the node answers with status %d", status)
	}
	text := p.Title
	if p.Detail != "" {
		text = p.Detail
	}
	if p.Hint != "" {
		text += "; " + p.Hint
	}
	return fmt.Errorf("%s (%s)", text, p.Code)
}
