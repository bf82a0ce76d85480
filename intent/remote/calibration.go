package remote

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Calibration turns the confidences that a backend states into the shares that
// really were right: points on a line that never falls, straight in between. The
// zero value takes confidences as they are.
type Calibration []Point

// Point says that of the answers that state Stated, the share Real is right.
type Point struct{ Stated, Real float32 }

// maxPoints bounds a calibration.
const maxPoints = 32

// ParseCalibration reads points such as "0.5:0.31". Errors: what is wrong with
// them, for an operator.
func ParseCalibration(points []string) (Calibration, error) {
	if len(points) > maxPoints {
		return nil, fmt.Errorf("%d points, the limit is %d", len(points), maxPoints)
	}
	var out Calibration
	for _, s := range points {
		a, b, ok := strings.Cut(s, ":")
		stated, err1 := strconv.ParseFloat(strings.TrimSpace(a), 32)
		right, err2 := strconv.ParseFloat(strings.TrimSpace(b), 32)
		if !ok || err1 != nil || err2 != nil || !share(stated) || !share(right) {
			return nil, fmt.Errorf("%q is not stated:real with two numbers from 0 to 1", s)
		}
		p := Point{Stated: float32(stated), Real: float32(right)}
		if n := len(out); n > 0 && (p.Stated <= out[n-1].Stated || p.Real < out[n-1].Real) {
			return nil, fmt.Errorf("%q does not rise above the point before it", s)
		}
		out = append(out, p)
	}
	return out, nil
}

// Strings writes the points as ParseCalibration reads them.
func (c Calibration) Strings() []string {
	out := make([]string, len(c))
	for i, p := range c {
		out[i] = fmt.Sprintf("%.3f:%.3f", p.Stated, p.Real)
	}
	return out
}

// Apply gives the share that is right of answers that state x. Beyond the ends
// the line is level: what was not seen is not promised.
func (c Calibration) Apply(x float32) float32 {
	if len(c) == 0 {
		return x
	}
	i, found := slices.BinarySearchFunc(c, x, func(p Point, x float32) int { return cmp.Compare(p.Stated, x) })
	switch {
	case found:
		return c[i].Real
	case i == 0:
		return min(c[0].Real, x)
	case i == len(c):
		return c[len(c)-1].Real
	}
	a, b := c[i-1], c[i]
	return a.Real + (b.Real-a.Real)*(x-a.Stated)/(b.Stated-a.Stated)
}

// Sample is one labelled question: what confidence the best candidate stated, and
// whether it was right.
type Sample struct {
	Stated float32
	Right  bool
}

// minBlock is how many samples a point stands on at least: fewer say little.
const minBlock = 20

// Fit learns a calibration from samples by isotonic regression: neighbours are
// put together until no block has a higher share than the next. Each block needs
// so many samples that its share means something, and its share is that after one
// more right and one more wrong answer, so that a lucky streak never states 1.
// It gives nil for fewer than 40 samples.
//
// Source: pool adjacent violators, Ayer et al. 1955; rule of succession.
func Fit(samples []Sample) Calibration {
	if len(samples) < 2*minBlock {
		return nil
	}
	sorted := slices.Clone(samples)
	slices.SortStableFunc(sorted, func(a, b Sample) int { return cmp.Compare(a.Stated, b.Stated) })
	var blocks []block
	for start := 0; start < len(sorted); {
		end := start + minBlock
		if len(sorted)-end < minBlock {
			end = len(sorted)
		}
		for end < len(sorted) && sorted[end].Stated == sorted[end-1].Stated {
			end++ // equal statements belong together
		}
		b := block{}
		for _, s := range sorted[start:end] {
			b.add(s)
		}
		blocks, start = append(blocks, b), end
		for n := len(blocks); n > 1 && blocks[n-2].share() >= blocks[n-1].share(); n = len(blocks) {
			blocks[n-2].join(blocks[n-1])
			blocks = blocks[:n-1]
		}
	}
	out := make(Calibration, 0, len(blocks))
	for _, b := range blocks {
		p := Point{Stated: b.stated / float32(b.n), Real: b.share()}
		if n := len(out); n == 0 || p.Stated > out[n-1].Stated {
			out = append(out, p)
		}
	}
	return out.thin()
}

// thin leaves out inner points until there are few enough.
func (c Calibration) thin() Calibration {
	for len(c) > maxPoints {
		kept := c[:0]
		for i, p := range c {
			if i%2 == 0 || i == len(c)-1 {
				kept = append(kept, p)
			}
		}
		c = kept
	}
	return c
}

type block struct {
	n, right int
	stated   float32 // sum
}

func (b *block) add(s Sample) {
	b.n++
	b.stated += s.Stated
	if s.Right {
		b.right++
	}
}

func (b *block) join(other block) {
	b.n += other.n
	b.right += other.right
	b.stated += other.stated
}

func (b *block) share() float32 { return float32(b.right+1) / float32(b.n+2) }
