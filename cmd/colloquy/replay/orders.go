package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/colloquyhq/colloquy/conversation"
)

// maxOrdersBytes bounds a file of records.
const maxOrdersBytes = 64 << 20

// Orders are the records that a stubbed look-up service answers with.
type Orders struct {
	// kinds are the records by kind of look-up, such as orders or refunds, and
	// number. Under the empty kind are those that answer any look-up.
	kinds map[string]map[string]json.RawMessage
}

// ReadOrders reads records. The file is either one JSON object, of records by
// number ({"2023": {…}}) or of kinds of look-ups that hold them
// ({"orders": {"2023": {…}}, "refunds": {…}}), or JSON lines with the number in
// order_no, student_no or number, and optionally the kind in lookup.
//
// A record that is null is not found; one that is a number is that HTTP status.
// A record without a kind answers every look-up about its number, with its
// member named like the look-up ("refund" for refunds) if it has one.
//
// Errors: class [conversation.ErrInvalid] naming line or record.
func ReadOrders(r io.Reader) (*Orders, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxOrdersBytes+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxOrdersBytes {
		return nil, conversation.Refusef(conversation.CodeTooLarge, "over %d bytes", maxOrdersBytes)
	}
	raw = bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(raw), []byte("\xef\xbb\xbf")))
	o := &Orders{kinds: map[string]map[string]json.RawMessage{}}
	if json.Valid(raw) && !isOneLine(raw) {
		return o, o.readObject(raw)
	}
	return o, o.readLines(raw)
}

// isOneLine tells a file with one JSON line, whose number is a member, from an
// object of records.
func isOneLine(raw []byte) bool {
	var l orderLine
	return json.Unmarshal(raw, &l) == nil && l.number() != ""
}

func (o *Orders) readObject(raw []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return &conversation.Error{Code: conversation.CodeInvalid, Detail: "neither an object of records nor JSON lines", Err: err}
	}
	for name, member := range members {
		var records map[string]json.RawMessage
		if json.Unmarshal(member, &records) == nil && holdsRecords(records) {
			for number, record := range records {
				if err := o.put(name, number, record); err != nil {
					return err
				}
			}
			continue
		}
		if err := o.put("", name, member); err != nil {
			return err
		}
	}
	return nil
}

// holdsRecords tells a kind of look-up, whose members are all records by number,
// from a record.
func holdsRecords(members map[string]json.RawMessage) bool {
	for name := range members {
		if !strings.ContainsAny(name, "0123456789") {
			return false
		}
	}
	return len(members) > 0
}

type orderLine struct {
	Lookup    string `json:"lookup"`
	OrderNo   any    `json:"order_no"`
	StudentNo any    `json:"student_no"`
	Number    any    `json:"number"`
}

func (l *orderLine) number() string {
	for _, v := range []any{l.OrderNo, l.StudentNo, l.Number} {
		switch n := v.(type) {
		case string:
			return n
		case float64:
			return strconv.FormatFloat(n, 'f', -1, 64)
		}
	}
	return ""
}

func (o *Orders) readLines(raw []byte) error {
	var errs []error
	number := 0
	for text := range bytes.Lines(raw) {
		number++
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		var l orderLine
		err := json.Unmarshal(text, &l)
		switch {
		case err != nil:
			err = &conversation.Error{Code: conversation.CodeInvalid, Detail: "not a JSON object", Err: err}
		case l.number() == "":
			err = conversation.Refuse(conversation.CodeInvalid, "order_no, student_no or number is missing")
		default:
			err = o.put(l.Lookup, l.number(), text)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", number, err))
		}
		if len(errs) == maxLineErrors {
			errs = append(errs, errors.New("more lines like these"))
			break
		}
	}
	return errors.Join(errs...)
}

func (o *Orders) put(kind, number string, record json.RawMessage) error {
	record = bytes.TrimSpace(record)
	what := strings.TrimPrefix(kind+"/"+number, "/")
	if status, err := strconv.Atoi(string(record)); err == nil && (status < 200 || status > 599) {
		return conversation.Refusef(conversation.CodeInvalid, "record %s: %d is no HTTP status", what, status)
	} else if err != nil && record[0] != '{' && string(record) != "null" {
		return conversation.Refusef(conversation.CodeInvalid, "record %s is neither an object, null nor an HTTP status", what)
	}
	if o.kinds[kind] == nil {
		o.kinds[kind] = map[string]json.RawMessage{}
	}
	if _, twice := o.kinds[kind][number]; twice {
		return conversation.Refusef(conversation.CodeInvalid, "record %s is there twice", what)
	}
	o.kinds[kind][number] = slices.Clone(record)
	return nil
}

// find gives the record that a look-up's address leads to, nil when there is
// none. parts are the segments of its path and the values of its query.
func (o *Orders) find(parts []string) json.RawMessage {
	if len(parts) == 0 {
		return nil
	}
	number := parts[len(parts)-1]
	for _, kind := range parts[:len(parts)-1] {
		if records, ok := o.kinds[kind]; ok && kind != "" {
			return records[number]
		}
	}
	record := o.kinds[""][number]
	var members map[string]json.RawMessage
	if json.Unmarshal(record, &members) == nil {
		for _, kind := range parts[:len(parts)-1] {
			for _, name := range []string{kind, strings.TrimSuffix(kind, "s")} {
				if m, ok := members[name]; ok && (len(m) > 0 && m[0] == '{' || string(m) == "null") {
					return m
				}
			}
		}
	}
	return record
}

// Lookup is one question to the look-up service.
type Lookup struct {
	Path   string `json:"path"`
	Number string `json:"number"`
	Status int    `json:"status"`
}

// desk is the look-up service of one visitor at a time, and remembers what it
// was asked.
type desk struct {
	orders *Orders
	mu     struct {
		sync.Mutex
		asked []Lookup
	}
}

// ServeHTTP implements [http.Handler]. The first segment of the path is the
// desk's own.
func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")[1:]
	query := r.URL.Query()
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if name, _, _ := strings.Cut(pair, "="); query.Has(name) {
			parts = append(parts, query.Get(name))
		}
	}
	record := d.orders.find(parts)
	status := http.StatusOK
	if n, err := strconv.Atoi(string(record)); err == nil {
		status, record = n, []byte("{}")
	} else if len(record) == 0 || string(record) == "null" {
		status, record = http.StatusNotFound, []byte(`{"error":"not found"}`)
	}
	if len(parts) > 0 {
		d.note(Lookup{Path: strings.Join(parts, "/"), Number: parts[len(parts)-1], Status: status})
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(record) // the caller is gone when this fails
}

func (d *desk) note(l Lookup) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.asked = append(d.mu.asked, l)
}

// take gives what was asked since it was called last.
func (d *desk) take() []Lookup {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.mu.asked
	d.mu.asked = nil
	return out
}
