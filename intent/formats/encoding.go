package formats

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// toUTF8 gives the text of a file that Excel or an editor may have written:
// UTF-8 with or without a mark, UTF-16 with one, or GB18030, of which GBK and
// GB2312 are parts and which Excel in China saves as CSV.
func toUTF8(file string, content []byte) (string, error) {
	switch {
	case bytes.HasPrefix(content, []byte("\xef\xbb\xbf")):
		content = content[3:]
	case bytes.HasPrefix(content, []byte("\xff\xfe")):
		return fromUTF16(content[2:], binary.LittleEndian), nil
	case bytes.HasPrefix(content, []byte("\xfe\xff")):
		return fromUTF16(content[2:], binary.BigEndian), nil
	}
	if bytes.IndexByte(content, 0) >= 0 {
		return "", refuse(Place{File: file}, "this is not a text file")
	}
	if utf8.Valid(content) {
		return string(content), nil
	}
	if s, ok := fromGB18030(content); ok {
		return s, nil
	}
	line := 1 + bytes.Count(content[:firstInvalid(content)], []byte("\n"))
	return "", refuse(Place{File: file, Line: line}, "the text is neither UTF-8 nor GB18030 (GBK); save it as UTF-8")
}

func fromUTF16(b []byte, order binary.ByteOrder) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

func fromGB18030(b []byte) (string, bool) {
	out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
	if err != nil || bytes.ContainsRune(out, utf8.RuneError) {
		return "", false
	}
	return string(out), true
}

func firstInvalid(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

// clean gives a text without what spreadsheets and exports leave around it:
// no-break spaces, byte order marks, line ends of Windows, invalid bytes.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u00a0", " ", "\ufeff", "", "\u200b", "").Replace(s)
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// oneLine gives a text without line ends, as questions are.
func oneLine(s string) string { return strings.Join(strings.Fields(clean(s)), " ") }

// scriptOf guesses the language of a text by its script, as package intent
// does for what visitors write.
func scriptOf(s string) string {
	han, latin := 0, 0
	for _, r := range s {
		switch {
		case r >= 0x3400 && r <= 0x9fff, r >= 0x20000 && r <= 0x3ffff:
			han++
		case r < utf8.RuneSelf && isLetter(byte(r)), r >= 0xc0 && r < 0x250: //nolint:gosec // checked to be ASCII
			latin++
		}
	}
	switch {
	case han == 0 && latin == 0:
		return ""
	case han*4 >= latin:
		return "zh"
	}
	return "en"
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// langOf gives the primary language of a tag: zh of zh-CN, en of en_US.
func langOf(tag string) string {
	tag, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
	tag, _, _ = strings.Cut(tag, "_")
	switch tag {
	case "中文", "汉语", "chinese", "cn":
		return "zh"
	case "英文", "英语", "english":
		return "en"
	}
	return tag
}
