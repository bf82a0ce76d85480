package intent

import "math"

// grid is a matrix of features × classes in which a number takes one byte, and eight
// classes one word, so that a model is small and two classes are added up by one
// multiplication. A row is known to a 254th of its largest number, which is far less
// than what margins differ by. All sums are of integers: they are the same on all
// machines.
type grid struct {
	classes int
	words   int       // of a row
	cells   []uint64  // rows × words; a byte is the number plus zeroCell
	scale   []float32 // per row
}

const (
	cellsPerWord = 8
	lanesPerWord = 4 // registers that the cells of a word are added up in
	stepsAtOnce  = 4
	zeroCell     = 128
	largestCell  = 127
	laneMask     = 0x000000ff_000000ff // of the cells of a word, the two that share a register
	cellBits     = 8
	laneBits     = 32
	// mostSteps is what the steps of a sum come to at most: times a cell it has to
	// fit into a lane, with its sign.
	mostSteps = 1 << (laneBits - 1 - cellBits)
)

// adder is the working memory of a sum.
type adder struct {
	steps []step
	sums  []uint64 // lanesPerWord for each word of a row
}

// step is a row of a grid, where its words begin, and how often it is added.
type step struct {
	at    int32
	times int32
}

// newGrid rounds weights, which are rows × classes.
func newGrid(weights []float32, classes int) *grid {
	g := emptyGrid(len(weights)/max(classes, 1), classes)
	for r := range g.scale {
		g.round(r, weights[r*classes:][:classes])
	}
	return g
}

func emptyGrid(rows, classes int) *grid {
	words := (classes + cellsPerWord - 1) / cellsPerWord
	return &grid{classes: classes, words: words, scale: make([]float32, rows), cells: make([]uint64, rows*words)}
}

// round fills in a row.
func (g *grid) round(r int, row []float32) {
	whole := len(row) - len(row)%cellsPerWord
	largest := largestOf(row[whole:])
	if whole > 0 {
		largest = max(largest, largestWhole(row[:whole]))
	}
	if largest == 0 {
		return // the scale is zero as well
	}
	g.scale[r] = largest / largestCell
	steps := largestCell / largest
	cells := g.cells[r*g.words:][:g.words]
	if whole > 0 {
		roundWhole(cells[:whole/cellsPerWord], row[:whole], steps)
	}
	if whole < len(row) {
		roundPlain(cells[whole/cellsPerWord:], row[whole:], steps)
	}
}

// largestOf gives the largest number of a row, whatever its sign.
func largestOf(row []float32) float32 {
	largest := uint32(0) // the bits of what is not negative are in its order
	for _, w := range row {
		largest = max(largest, math.Float32bits(w)&^signBit)
	}
	return math.Float32frombits(largest)
}

// roundPlain fills in cells by a row, of which one is worth so many steps.
func roundPlain(cells []uint64, row []float32, steps float32) {
	for i := range cells {
		word := uint64(0)
		for k, w := range row[i*cellsPerWord : min((i+1)*cellsPerWord, len(row))] {
			word |= uint64(cell(float32(w*steps))) << (k * cellBits)
		}
		cells[i] = word
	}
}

const (
	signBit = 1 << 31
	// ones is so large that the lowest bit of a number of its size is worth one: what is
	// added to it is rounded, to even, and stands in the lowest bits.
	ones = 3 << 22
)

// cell rounds a number between -127 and 127.
func cell(v float32) uint8 { return uint8(math.Float32bits(v+ones)) + zeroCell } //nolint:gosec // the lowest bits are meant

// at gives one number.
func (g *grid) at(row, class int) float32 {
	word := g.cells[row*g.words+class/cellsPerWord]
	return float32(int(uint8(word>>(class%cellsPerWord*cellBits)))-zeroCell) * g.scale[row] //nolint:gosec // one cell is meant
}

// add adds some rows, each times its value, to what out has for each class.
func (g *grid) add(out []float32, rows []int32, values []float32, a *adder) {
	total := float32(0)
	for i, r := range rows {
		total += float32(math.Abs(float64(values[i] * g.scale[r])))
	}
	if total == 0 {
		return
	}
	perUnit, all := mostSteps/total, int64(0)
	a.steps = a.steps[:0]
	for i, r := range rows {
		times := int32(values[i] * g.scale[r] * perUnit)
		all += int64(times)
		a.steps = append(a.steps, step{at: r * int32(g.words), times: times}) //nolint:gosec // rows and classes are bounded
	}
	for len(a.steps)%stepsAtOnce != 0 {
		a.steps = append(a.steps, step{})
	}
	g.sum(a)
	unit, zero := total/mostSteps, int32(all*zeroCell)
	for k := range out {
		lane := a.sums[k/cellsPerWord*lanesPerWord+k%lanesPerWord]
		sum := lower(lane)
		if k%cellsPerWord >= lanesPerWord {
			sum = upper(lane)
		}
		out[k] += float32(sum-zero) * unit
	}
}

// sum takes the steps of a. What is slow is reading and writing the sums.
func (g *grid) sum(a *adder) {
	n := g.words
	all := append(a.sums[:0], make([]uint64, n*lanesPerWord)...)
	a.sums = all
	for steps := a.steps; len(steps) >= stepsAtOnce; steps = steps[stepsAtOnce:] {
		rowA, rowB := g.cells[steps[0].at:][:n], g.cells[steps[1].at:][:n]
		rowC, rowD := g.cells[steps[2].at:][:n], g.cells[steps[3].at:][:n]
		timesA, timesB := uint64(int64(steps[0].times)), uint64(int64(steps[1].times)) //nolint:gosec // modulo 2⁶⁴
		timesC, timesD := uint64(int64(steps[2].times)), uint64(int64(steps[3].times)) //nolint:gosec // modulo 2⁶⁴
		for word := range rowA {
			a, b, c, d := rowA[word], rowB[word], rowC[word], rowD[word]
			sums := all[word*lanesPerWord:][:lanesPerWord]
			sums[0] += a&laneMask*timesA + b&laneMask*timesB + c&laneMask*timesC + d&laneMask*timesD
			sums[1] += a>>8&laneMask*timesA + b>>8&laneMask*timesB + c>>8&laneMask*timesC + d>>8&laneMask*timesD
			sums[2] += a>>16&laneMask*timesA + b>>16&laneMask*timesB + c>>16&laneMask*timesC + d>>16&laneMask*timesD
			sums[3] += a>>24&laneMask*timesA + b>>24&laneMask*timesB + c>>24&laneMask*timesC + d>>24&laneMask*timesD
		}
	}
}

// lower and upper give the two sums of a register. Where the lower one is negative, it
// has borrowed one of the upper.
func lower(v uint64) int32 { return int32(v) } //nolint:gosec // the lower half is meant

func upper(v uint64) int32 { return int32((v - uint64(int64(lower(v)))) >> laneBits) } //nolint:gosec // modulo 2⁶⁴
