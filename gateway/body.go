package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/gateway/wire"
)

// maxBodyDepth bounds how deep the JSON of a request may nest.
const maxBodyDepth = 16

// readBody reads a body of the type that the API speaks. Demanding it also
// keeps forms of foreign pages out: a browser asks first before it sends JSON
// across origins.
func readBody(r *http.Request) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil, conversation.Refuse(conversation.CodeBadJSON, "the Content-Type is application/json")
	}
	return readRaw(r)
}

// readRaw reads the body of a request that proves by more than a cookie who
// sent it, whatever type it claims: small senders, such as a bare curl, set
// none.
func readRaw(r *http.Request) ([]byte, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, conversation.Refuse(conversation.CodeBadJSON, "compressed bodies are not taken")
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", bodyError(err))
	}
	return b, nil
}

func bodyError(err error) error {
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return err
	}
	return &conversation.Error{Code: conversation.CodeBadJSON, Detail: "the body ended early", Err: err}
}

// decodeBody reads a JSON object into v. Fields that v does not have are
// refused: what a caller sends and we would ignore, such as a role, must not
// look accepted.
func decodeBody(r *http.Request, v any) error {
	b, err := readBody(r)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(b)) == 0 {
		b = []byte("{}")
	}
	if err := wire.CheckJSON(b, maxBodyDepth); err != nil {
		return err
	}
	return strictJSON(b, v)
}

// optionalBody is decodeBody for calls that make sense without one.
func optionalBody(r *http.Request, v any) error {
	if r.ContentLength == 0 {
		return nil
	}
	return decodeBody(r, v)
}

func strictJSON(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		return nil
	}
	var e *conversation.Error
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &wrong):
		return conversation.Refusef(conversation.CodeBadJSON, "%s must not be a JSON %s", field(wrong.Field), wrong.Value)
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		return conversation.Refuse(conversation.CodeUnknownField, strings.TrimPrefix(err.Error(), "json: "))
	}
	return conversation.Refuse(conversation.CodeBadJSON, "the body does not fit this call")
}

func field(name string) string {
	if name == "" {
		return "the body"
	}
	return name
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	return answerBytes(w, status, append(b, '\n'))
}

func answerBytes(w http.ResponseWriter, status int, b []byte) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) //nolint:gosec // JSON and said to be; the peer may be gone, and there is nobody to tell
	return nil
}

func noContent(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// checkText refuses what no conversation takes, before anything is woken up
// for it.
func checkText(t conversation.Text) error {
	if len(t) > conversation.MaxTextBytes {
		return conversation.Refusef(conversation.CodeTextTooLong, "%d bytes, the limit is %d", len(t), conversation.MaxTextBytes)
	}
	seen := false // something to read
	for i := 0; i < len(t); {
		if c := t[i]; c > ' ' && c < 0x7f {
			seen = true
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(string(t[i:]))
		switch {
		case r == utf8.RuneError && n == 1:
			return conversation.Refuse(conversation.CodeBadText, "the text is not valid UTF-8")
		case r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0x7f:
			return conversation.Refusef(conversation.CodeBadText, "the text holds the control character U+%04X", r)
		}
		seen = seen || !unicode.IsSpace(r)
		i += n
	}
	if !seen {
		return conversation.Refuse(conversation.CodeEmptyText, "the text holds nothing to read")
	}
	return nil
}
