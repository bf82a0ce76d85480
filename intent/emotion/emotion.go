// Package emotion reads the tone of a visitor's message: is somebody angry at
// the service, does somebody threaten to go to an authority, a court or the
// public, does somebody abuse, does somebody say that the answer was wrong.
//
// The scorer is a linear model on the characters, words and marks of one text,
// trained from the lines in lines/ by the program in gen/. It takes some
// microseconds and allocates nothing. What makes of single messages the mood of
// a conversation is conversation.Mood.
package emotion

import (
	"crypto/sha256"
	_ "embed" // the weights
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

//go:generate go run ./gen

// Head is one question about a text.
type Head int

// The heads, in the order of the weights.
const (
	Anger  Head = iota // angry at the service
	Abuse              // insults, obscenity, threats to people
	Threat             // complaint authority, court, police, media, bad reviews
	Deny               // says that the answer is wrong or of no help
	heads
)

// Heads lists the heads in the order of the weights, by the name that the
// sections of the lines have.
func Heads() []string { return []string{"angry", "abuse", "threat", "deny"} }

// Score is the tone of one text.
//
// Units: probabilities, 0 to 1; 0.5 is where a head speaks up. Anger is placed
// so that polite messages stay below it (see the figures in intent/README.md).
type Score struct {
	Anger, Abuse, Threat, Deny float32
}

// The layout of the weights: magic, hash of lines, then for each head bias and
// scale, then the number of rows and the rows, each a key and one number a head.
const (
	magic     = "CQE1"
	hashBytes = sha256.Size
	rowBytes  = 4 + int(heads)
	headBytes = 8
)

//go:embed weights.bin
var embedded []byte

// ErrBroken says that weights cannot be read.
var ErrBroken = errors.New("the emotion weights are broken")

// Scorer scores texts. It is read only: one serves all goroutines.
type Scorer struct {
	lines [hashBytes]byte
	bias  [heads]float32
	scale [heads]float32
	slots []slot // open addressing by the upper bits, a power of two, at most half full
	shift uint   // of a key, to its slot
}

type slot struct {
	key     uint32
	weights [heads]int8
}

// New gives the scorer with the weights that come with the program.
func New() (*Scorer, error) { return Read(embedded) }

// Read reads weights. Errors: [ErrBroken].
func Read(data []byte) (*Scorer, error) {
	start := len(magic) + hashBytes + headBytes*int(heads)
	if len(data) < start+4 || string(data[:len(magic)]) != magic {
		return nil, ErrBroken
	}
	s := &Scorer{}
	copy(s.lines[:], data[len(magic):])
	for h := range s.bias {
		at := data[len(magic)+hashBytes+headBytes*h:]
		s.bias[h] = math.Float32frombits(binary.LittleEndian.Uint32(at))
		s.scale[h] = math.Float32frombits(binary.LittleEndian.Uint32(at[4:]))
	}
	rows := int(binary.LittleEndian.Uint32(data[start:]))
	data = data[start+4:]
	if rows > len(data) || len(data) != rows*rowBytes {
		return nil, fmt.Errorf("%w: %d rows in %d bytes", ErrBroken, rows, len(data))
	}
	for s.shift = 28; s.shift > 0 && 1<<(32-s.shift) < 2*rows; {
		s.shift--
	}
	s.slots = make([]slot, 1<<(32-s.shift))
	for ; len(data) > 0; data = data[rowBytes:] {
		x := slot{key: binary.LittleEndian.Uint32(data)}
		for h := range x.weights {
			x.weights[h] = int8(data[4+h]) //nolint:gosec // a signed byte is what was written
		}
		at := x.key >> s.shift
		for s.slots[at].key != 0 {
			at = s.next(at)
		}
		s.slots[at] = x
	}
	return s, nil
}

func (s *Scorer) next(at uint32) uint32 { return (at + 1) & uint32(len(s.slots)-1) } //nolint:gosec // at most 2³²

// Lines gives the hash of the lines that the weights were trained from.
func (s *Scorer) Lines() string { return fmt.Sprintf("%x", s.lines) }

// Score reads the tone of a text, which should be folded (see [Features]). A
// text without words, marks or emoji has none.
func (s *Scorer) Score(text []byte) Score {
	var r reader
	var sums [heads]int32
	r.read(text)
	for _, f := range r.found[:r.n] {
		for at := f >> s.shift; s.slots[at].key != 0; at = s.next(at) {
			if s.slots[at].key != f {
				continue
			}
			for h, w := range s.slots[at].weights {
				sums[h] += int32(w)
			}
			break
		}
	}
	if r.n == 0 {
		return Score{}
	}
	norm := float32(1 / math.Sqrt(float64(r.n)))
	p := func(h Head) float32 { return logistic(s.bias[h] + s.scale[h]*float32(sums[h])*norm) }
	return Score{Anger: p(Anger), Abuse: p(Abuse), Threat: p(Threat), Deny: p(Deny)}
}

func logistic(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }
