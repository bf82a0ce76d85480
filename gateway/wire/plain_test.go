package wire

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// TestPlainBytes puts every byte at every place among others.
func TestPlainBytes(t *testing.T) {
	t.Parallel()
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				b := bytes.Repeat([]byte{'a'}, length)
				b[at] = byte(c)
				for _, behind := range []byte{'~', 0, '"', 0xff, '\\'} { // must not change what is found first
					if at+1 < length {
						b[at+1] = behind
					}
					want := slowPlainBytes(b)
					if got := plainBytes(b); got != want {
						t.Fatalf("plainBytes(%q) = %d, want %d", b, got, want)
					}
					if got := plainBytes(string(b)); got != want {
						t.Fatalf("plainBytes of the string %q = %d, want %d", b, got, want)
					}
				}
			}
		}
	}
}

func slowPlainBytes(b []byte) int {
	for i, c := range b {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return i
		}
	}
	return len(b)
}
