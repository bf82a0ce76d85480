package wire

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/colloquyhq/colloquy/conversation"
)

// scanner walks JSON in one pass. It checks the grammar of RFC 8259, UTF-8
// and the depth, and hands out values as slices of its input.
type scanner struct {
	b     []byte
	i     int
	depth int  // levels still allowed
	keys  bool // refuse an object that holds a key twice
}

// CheckJSON refuses what is not exactly one JSON value of at most depth
// levels, holds a key twice in one object, or is not UTF-8. Parsers differ in
// what they make of such input; here it stops at the door.
//
// Errors: class [conversation.ErrInvalid].
func CheckJSON(data []byte, depth int) error {
	s := scanner{b: data, depth: depth, keys: true}
	if _, err := s.value(); err != nil {
		return err
	}
	return s.end()
}

func (s *scanner) fail(why string) error {
	return conversation.Refusef(conversation.CodeBadJSON, "%s at byte %d", why, s.i)
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) end() error {
	if s.space(); s.i < len(s.b) {
		return s.fail("something follows the value")
	}
	return nil
}

// value passes over the next value and returns its bytes.
func (s *scanner) value() ([]byte, error) {
	s.space()
	if s.i >= len(s.b) {
		return nil, s.fail("the text ends early")
	}
	start := s.i
	var err error
	switch c := s.b[s.i]; {
	case c == '"':
		err = s.skipString()
	case c == '{':
		err = s.object(nil)
	case c == '[':
		err = s.list(nil)
	case c == '-' || c >= '0' && c <= '9':
		err = s.number()
	case c == 't':
		err = s.word("true")
	case c == 'f':
		err = s.word("false")
	case c == 'n':
		err = s.word("null")
	default:
		err = s.fail("a value is expected")
	}
	if err != nil {
		return nil, err
	}
	return s.b[start:s.i], nil
}

func (s *scanner) word(w string) error {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return s.fail("a value is expected")
	}
	s.i += len(w)
	return nil
}

func (s *scanner) enter() error {
	if s.depth--; s.depth < 0 {
		return s.fail("too many levels")
	}
	s.i++
	s.space()
	return nil
}

// object passes over an object. With each given, it hands out every member:
// the key unescaped, the value as it stands.
func (s *scanner) object(each func(key string, value []byte) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer func() { s.depth++ }()
	if s.i < len(s.b) && s.b[s.i] == '}' {
		s.i++
		return nil
	}
	var seen keySet
	for {
		key, value, err := s.member(each != nil || s.keys)
		if err != nil {
			return err
		}
		if s.keys && !seen.add(key) {
			return s.fail("an object holds a key twice")
		}
		if each != nil {
			if err := each(key, value); err != nil {
				return err
			}
		}
		if more, err := s.next('}'); err != nil || !more {
			return err
		}
	}
}

// member reads "key": value. The key is unescaped only when it is wanted.
func (s *scanner) member(wanted bool) (string, []byte, error) { //nolint:revive // a private short cut of object
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return "", nil, s.fail("a key is expected")
	}
	start := s.i
	if err := s.skipString(); err != nil {
		return "", nil, err
	}
	key := ""
	if wanted {
		key = keyOf(s.b[start:s.i])
	}
	if s.space(); s.i >= len(s.b) || s.b[s.i] != ':' {
		return "", nil, s.fail("a colon is expected")
	}
	s.i++
	value, err := s.value()
	return key, value, err
}

// list passes over a list and, with each given, hands out its items.
func (s *scanner) list(each func(item []byte) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer func() { s.depth++ }()
	if s.i < len(s.b) && s.b[s.i] == ']' {
		s.i++
		return nil
	}
	for {
		item, err := s.value()
		if err == nil && each != nil {
			err = each(item)
		}
		if err != nil {
			return err
		}
		if more, err := s.next(']'); err != nil || !more {
			return err
		}
	}
}

// next passes over a comma or the closing bracket.
func (s *scanner) next(closing byte) (bool, error) {
	s.space()
	if s.i >= len(s.b) {
		return false, s.fail("the text ends early")
	}
	switch s.b[s.i] {
	case ',':
		s.i++
		s.space()
		return true, nil
	case closing:
		s.i++
		return false, nil
	}
	return false, s.fail("a comma or a closing bracket is expected")
}

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

func (s *scanner) number() error {
	if s.b[s.i] == '-' {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else if !s.digits() {
		return s.fail("a digit is expected")
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		if s.i++; !s.digits() {
			return s.fail("a digit is expected")
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		if s.i++; s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return s.fail("a digit is expected")
		}
	}
	return nil
}

// skipString passes over a string, checking escapes and UTF-8.
func (s *scanner) skipString() error {
	s.i++
	for {
		s.i += plainBytes(s.b[s.i:])
		if s.i >= len(s.b) {
			return s.fail("a string does not end")
		}
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return nil
		case c == '\\':
			if err := s.skipEscape(); err != nil {
				return err
			}
		case c < ' ':
			return s.fail("a control character stands unescaped in a string")
		default:
			r, n := utf8.DecodeRune(s.b[s.i:])
			if r == utf8.RuneError && n <= 1 {
				return s.fail("a string is not UTF-8")
			}
			s.i += n
		}
	}
}

func (s *scanner) skipEscape() error {
	if s.i+1 >= len(s.b) {
		return s.fail("a string does not end")
	}
	switch s.b[s.i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i += 2
		return nil
	case 'u':
		if _, ok := hex4(s.b[s.i+2:]); !ok {
			return s.fail("an escape is not four hexadecimal digits")
		}
		s.i += 6
		return nil
	}
	return s.fail("an escape is not known")
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// keyOf is unquote for keys, which are nearly always among these and need not be
// copied then.
func keyOf(q []byte) string {
	switch string(q) {
	case `"t"`:
		return "t"
	case `"ref"`:
		return "ref"
	case `"client_id"`:
		return "client_id"
	case `"conversation_id"`:
		return "conversation_id"
	case `"text"`:
		return "text"
	case `"seq"`:
		return "seq"
	case `"on"`:
		return "on"
	}
	return unquote(q)
}

// unquote copies a string that skipString has passed. Halves of surrogate
// pairs become U+FFFD, as in encoding/json.
func unquote(q []byte) string {
	q = q[1 : len(q)-1]
	plain := bytes.IndexByte(q, '\\')
	if plain < 0 {
		return string(q)
	}
	out := make([]byte, plain, len(q))
	copy(out, q)
	for i := plain; i < len(q); {
		if q[i] != '\\' {
			out = append(out, q[i])
			i++
			continue
		}
		var n int
		out, n = unescape(out, q[i:])
		i += n
	}
	return string(out)
}

// unescape appends what the escape at the start of q stands for and says how
// long it is.
func unescape(out, q []byte) ([]byte, int) {
	switch q[1] {
	case 'b':
		return append(out, '\b'), 2
	case 'f':
		return append(out, '\f'), 2
	case 'n':
		return append(out, '\n'), 2
	case 'r':
		return append(out, '\r'), 2
	case 't':
		return append(out, '\t'), 2
	case 'u':
		r, _ := hex4(q[2:])
		if !utf16.IsSurrogate(r) {
			return utf8.AppendRune(out, r), 6
		}
		if full := secondHalf(r, q[6:]); full != utf8.RuneError {
			return utf8.AppendRune(out, full), 12
		}
		return utf8.AppendRune(out, utf8.RuneError), 6
	}
	return append(out, q[1]), 2
}

// secondHalf joins half a surrogate pair with the escape behind it.
func secondHalf(first rune, q []byte) rune {
	if len(q) < 6 || q[0] != '\\' || q[1] != 'u' {
		return utf8.RuneError
	}
	second, ok := hex4(q[2:])
	if !ok {
		return utf8.RuneError
	}
	return utf16.DecodeRune(first, second)
}

// isNull reports whether a value is null, which counts as left out.
func isNull(v []byte) bool { return len(v) == 4 && v[0] == 'n' }

func uintOf(v []byte) (uint64, bool) {
	n, err := strconv.ParseUint(string(v), 10, 64)
	return n, err == nil
}
