package intent

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestGridAddsUp: the sums are those of the weights, but for what a byte cannot say.
func TestGridAddsUp(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(17, 19))
	for _, classes := range []int{1, 7, 8, 9, 77} {
		const features = 300
		weights := make([]float32, features*classes)
		for i := range weights {
			weights[i] = float32(random.NormFloat64())
		}
		clear(weights[:classes]) // a feature of no weight
		g := newGrid(weights, classes)
		for _, n := range []int{0, 1, 2, 50, 400} {
			rows, values := make([]int32, n), make([]float32, n)
			got, want, allowed := make([]float32, classes), make([]float64, classes), 0.0
			for i := range rows {
				rows[i], values[i] = random.Int32N(features), float32(random.NormFloat64())
				row := weights[int(rows[i])*classes:][:classes]
				for k, w := range row {
					want[k] += float64(values[i]) * float64(w)
				}
				allowed += math.Abs(float64(values[i])) * float64(g.scale[rows[i]]) * 0.51
			}
			g.add(got, rows, values, &adder{})
			for k := range want {
				if math.Abs(float64(got[k])-want[k]) > allowed {
					t.Errorf("%d classes, %d rows: class %d is %v, want %v up to %v", classes, n, k, got[k], want[k], allowed)
				}
			}
		}
	}
}

// TestGridBearsTheWorst: sums are right where all cells and values are as large as
// they get, of one sign or the other.
func TestGridBearsTheWorst(t *testing.T) {
	t.Parallel()
	const n = 2000
	for _, weight := range []float32{-3, 3} {
		g := newGrid([]float32{weight, -weight, weight, -weight, weight, -weight, weight, -weight, weight}, 9)
		for _, value := range []float32{-5, 5} {
			rows, values, got := make([]int32, n), make([]float32, n), make([]float32, 9)
			for i := range values {
				values[i] = value
			}
			g.add(got, rows, values, &adder{})
			for k, v := range got {
				want := float64(n * value * weight)
				if k%2 == 1 {
					want = -want
				}
				if math.Abs(float64(v)-want) > 1e-3*math.Abs(want) {
					t.Errorf("weight %v, value %v, class %d: %v, want %v", weight, value, k, v, want)
				}
			}
		}
	}
}

// TestGridRoundsWhole: what the processor rounds in its own way is what the plain way
// gives, to the bit.
func TestGridRoundsWhole(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(47, 53))
	for n := range 70 {
		row := randomVector(random, n)
		if n > 3 {
			row[n/2] = -7 // the largest, by its size
			row[n/3] = 0
		}
		g := emptyGrid(1, n)
		g.round(0, row)
		largest := largestOf(row)
		want := make([]uint64, g.words)
		roundPlain(want, row, largestCell/largest)
		if n > 0 && g.scale[0] != largest/largestCell || !slices.Equal(g.cells, want) {
			t.Errorf("%d numbers: %x of %v, want %x of %v", n, g.cells, g.scale, want, largest/largestCell)
		}
	}
}

// One number of a grid is what a sum of it alone comes to.
func TestGridAt(t *testing.T) {
	t.Parallel()
	weights := []float32{1, -1, 0.5, 0, 0.25, -0.5, 1, 0.75, -0.25, 0.1, 2, -2, 1, 0, 0.5, 1.5, -1.5, 0.2, 0.4, -0.6}
	g := newGrid(weights, 10)
	for row := range 2 {
		for class := range 10 {
			want := weights[row*10+class]
			if got := g.at(row, class); got-want > 0.01 || want-got > 0.01 {
				t.Errorf("at(%d, %d) = %v, want %v", row, class, got, want)
			}
		}
	}
}
