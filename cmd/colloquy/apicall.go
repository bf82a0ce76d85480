package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/colloquyhq/colloquy/gateway"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// Variables that say where the API is and who asks.
const (
	variableURL       = "COLLOQUY_API_URL"
	variableToken     = "COLLOQUY_API_TOKEN"      //nolint:gosec // the name of it
	variableTokenFile = "COLLOQUY_API_TOKEN_FILE" //nolint:gosec // likewise
)

const (
	maxTokenBytes  = 4 << 10
	maxAnswerBytes = 32 << 20
)

// apiFlags choose the running node whose API is called, and in whose name. The
// token is no flag: other users of a machine see flags.
type apiFlags struct {
	configFlags

	URL       string        `name:"url" help:"Address of the node's API, such as https://chat.example.com; default: $COLLOQUY_API_URL, or this machine's node as configured." placeholder:"URL"`
	TokenFile string        `help:"File with an admin's token (pat_…); default: $COLLOQUY_API_TOKEN, or the file that $COLLOQUY_API_TOKEN_FILE names." type:"path" placeholder:"FILE"`
	AllowHTTP bool          `name:"allow-http" help:"Send the token without TLS to another machine as well."`
	Timeout   time.Duration `help:"How long to wait for the answer." default:"60s"`
	JSON      bool          `help:"Print JSON."`
}

// apiCall is one call.
type apiCall struct {
	method, path string
	body         any    // nil = none
	answer       any    // where the answer goes; nil = there is none to read
	onlyOver     string // If-Match; empty = none
}

// call makes a call to the API.
func (f *apiFlags) call(t *tool, c apiCall) error {
	req, err := f.request(t, &c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(t.ctx, f.Timeout)
	defer cancel()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("the node does not answer: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("the node's answer: %w", err)
	}
	if res.StatusCode >= 300 {
		return apiProblem(res, raw)
	}
	if c.answer == nil {
		return nil
	}
	if err := json.Unmarshal(raw, c.answer); err != nil {
		return fmt.Errorf("the answer of %s is not this program's: %w", req.URL.Host, err)
	}
	return nil
}

func (f *apiFlags) request(t *tool, c *apiCall) (*http.Request, error) {
	base, err := f.base(t)
	if err != nil {
		return nil, err
	}
	token, err := f.token(t)
	if err != nil {
		return nil, err
	}
	send := io.Reader(http.NoBody)
	if c.body != nil {
		raw, err := json.Marshal(c.body)
		if err != nil {
			return nil, err
		}
		send = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.ctx, c.method, base+c.path, send)
	if err != nil {
		return nil, &failure{exitUsage, err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	if c.onlyOver != "" {
		req.Header.Set("If-Match", c.onlyOver)
	}
	return req, nil
}

// base gives the address of the API.
func (f *apiFlags) base(t *tool) (string, error) {
	at := f.URL
	if at == "" {
		at = variable(t.environ, variableURL, func() string { return "" })
	}
	if at == "" {
		config, err := f.load(t, nil)
		if err != nil {
			return "", err
		}
		if at, err = localURL(config.Listen); err != nil {
			return "", &failure{exitUsage, err}
		}
	}
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" {
		return "", &failure{exitUsage, fmt.Errorf("%q is no address such as https://chat.example.com", at)}
	}
	if u.Scheme == "http" && !f.AllowHTTP && !isLoopback(u.Hostname()) {
		return "", &failure{exitUsage, fmt.Errorf("the token would go to %s without TLS; use https, or --allow-http within a network of your own", u.Host)}
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// localURL gives the address of a listener for somebody on its machine.
func localURL(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// token gives the admin's token.
func (f *apiFlags) token(t *tool) (string, error) {
	file := f.TokenFile
	if file == "" {
		if token := variable(t.environ, variableToken, func() string { return "" }); token != "" {
			return checkToken(token)
		}
		file = variable(t.environ, variableTokenFile, func() string { return "" })
	}
	if file == "" {
		return "", &failure{exitUsage, errors.New("whose call is it? Give an admin's token by --token-file or " + variableToken + "; `POST /v1/tokens` makes one")}
	}
	in, err := os.Open(file) //nolint:gosec // the operator's own choice
	if err != nil {
		return "", &failure{exitUsage, err}
	}
	defer func() { _ = in.Close() }()
	raw, err := io.ReadAll(io.LimitReader(in, maxTokenBytes))
	if err != nil {
		return "", &failure{exitUsage, err}
	}
	return checkToken(string(raw))
}

// checkToken refuses what could not be a header.
func checkToken(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", &failure{exitUsage, errors.New("the token is empty, or more than one word")}
	}
	return s, nil
}

// apiRefusedError is what the API answers in place of what was asked for.
type apiRefusedError struct {
	wire.Problem

	Problems []gateway.PackProblem `json:"problems"` // of a pack that was refused
}

// Error implements error, with every problem of a pack on a line of its own.
func (e *apiRefusedError) Error() string {
	var b strings.Builder
	b.WriteString(strings.Join(nonEmpty(strings.TrimSuffix(e.Title, "."), e.Detail, e.Hint), ": "))
	for _, p := range e.Problems {
		b.WriteString("\n  " + problemLine(p))
	}
	return b.String()
}

func problemLine(p gateway.PackProblem) string {
	if p.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Reason)
	}
	return p.File + ": " + p.Reason
}

func apiProblem(res *http.Response, raw []byte) error {
	e := &apiRefusedError{}
	if json.Unmarshal(raw, e) != nil || e.Title == "" {
		return fmt.Errorf("the node answers %s", res.Status)
	}
	return e
}

// oneLine makes a text of somebody else's fit for a terminal: on one line, and
// without what a terminal would obey.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
