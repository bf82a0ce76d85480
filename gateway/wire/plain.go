package wire

import "math/bits"

const (
	eachByte = 0x0101010101010101
	highBits = 0x8080808080808080
)

// plainBytes counts the bytes at the front of a text that mean nothing but
// themselves in a JSON string: ASCII, no control characters, no quotation marks,
// no backslashes. It looks at eight at a time, since most of what people write is
// made of them or of longer characters.
//
// Source: S. E. Anderson, Bit Twiddling Hacks, "Determine if a word has a byte
// less than n". The lowest mark is exact, whatever follows it.
func plainBytes[T string | []byte](b T) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := uint64(b[i]) | uint64(b[i+1])<<8 | uint64(b[i+2])<<16 | uint64(b[i+3])<<24 |
			uint64(b[i+4])<<32 | uint64(b[i+5])<<40 | uint64(b[i+6])<<48 | uint64(b[i+7])<<56
		quote, slash := w^eachByte*'"', w^eachByte*'\\'
		marks := (w | (w-eachByte*' ')&^w | (quote-eachByte)&^quote | (slash-eachByte)&^slash) & highBits
		if marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' || c >= 0x80 || c == '"' || c == '\\' {
			return i
		}
	}
	return i
}
