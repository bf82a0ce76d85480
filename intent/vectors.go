package intent

// Training is inner products and sums of vectors. Where the processor takes several
// numbers at a time there are ways of its own for whole blocks; they give the same bits
// as those here, which say what is added in which order: products are converted, which
// keeps the compiler from joining them with sums.
const (
	vectorBlock   = 16 // numbers
	sumBlock      = 4
	stripeClasses = 16 // whose weights lie side by side, which is a line of the cache
)

// dot gives the inner product of two vectors of one length.
func dot(a, b []float32) (sum float32) {
	b = b[:len(a)]
	whole := len(a) - len(a)%vectorBlock
	if whole > 0 {
		sum = dotWhole(a[:whole], b[:whole])
	}
	for i := whole; i < len(a); i++ {
		sum += a[i] * b[i]
	}
	return sum
}

// dotPlain is dot for whole blocks.
func dotPlain(a, b []float32) float32 {
	var s [vectorBlock]float32
	for len(a) >= vectorBlock && len(b) >= vectorBlock {
		x, y := (*[vectorBlock]float32)(a), (*[vectorBlock]float32)(b)
		for i := range s {
			s[i] += float32(x[i] * y[i])
		}
		a, b = a[vectorBlock:], b[vectorBlock:]
	}
	for half := vectorBlock / 2; half > 0; half /= 2 {
		for i := range half {
			s[i] += s[i+half]
		}
	}
	return s[0]
}

// axpy adds step times b to a.
func axpy(a, b []float32, step float32) {
	b = b[:len(a)]
	whole := len(a) - len(a)%vectorBlock
	if whole > 0 {
		axpyWhole(a[:whole], b[:whole], step)
	}
	axpyPlain(a[whole:], b[whole:], step)
}

func axpyPlain(a, b []float32, step float32) {
	b = b[:len(a)]
	for i := range a {
		a[i] += float32(step * b[i])
	}
}

// addFour adds four rows, which are at least as long, each times its number, to out.
func addFour(out []float32, rows *[4][]float32, times *[4]float32) {
	n := len(out)
	for _, row := range rows {
		_ = row[:n] // none is shorter
	}
	whole := n - n%sumBlock
	if whole > 0 {
		addFourWhole(out[:whole], rows, times)
	}
	addFourPlain(out[whole:], whole, rows, times)
}

// addFourPlain is addFour for what begins at a place of the rows.
func addFourPlain(out []float32, from int, rows *[4][]float32, times *[4]float32) {
	end := from + len(out)
	a, b, c, d := rows[0][from:end], rows[1][from:end], rows[2][from:end], rows[3][from:end]
	for k := range out {
		out[k] += float32(times[0]*a[k]) + float32(times[1]*b[k]) + float32(times[2]*c[k]) + float32(times[3]*d[k])
	}
}

// addStripe adds the weights of some features, each times its value, to the margins of a
// stripe of classes.
func addStripe(margins *[stripeClasses]float32, weights []float32, ids []int32, values []float32) {
	if len(ids) == 0 {
		return
	}
	addStripeWhole(margins, weights, ids, values[:len(ids)])
}

// addStripePlain adds four features at a time.
func addStripePlain(margins *[stripeClasses]float32, weights []float32, ids []int32, values []float32) {
	values = values[:len(ids)]
	of := func(id int32) *[stripeClasses]float32 {
		return (*[stripeClasses]float32)(weights[int(id)*stripeClasses:])
	}
	for ; len(ids) >= 4 && len(values) >= 4; ids, values = ids[4:], values[4:] {
		a, b, c, d := of(ids[0]), of(ids[1]), of(ids[2]), of(ids[3])
		for k := range margins {
			margins[k] += float32(values[0]*a[k]) + float32(values[1]*b[k]) + float32(values[2]*c[k]) + float32(values[3]*d[k])
		}
	}
	for i, id := range ids {
		for k, w := range of(id) {
			margins[k] += float32(values[i] * w)
		}
	}
}

// dotSparse gives the inner product of weights with a sparse vector, of which weights has
// all the numbers.
func dotSparse(weights []float32, index []int32, value []float32) float32 {
	if len(index) == 0 {
		return 0
	}
	return dotSparseWhole(weights, index, value[:len(index)])
}

func dotSparsePlain(weights []float32, index []int32, value []float32) float32 {
	value = value[:len(index)]
	var a, b, c, d float32
	for len(index) >= 4 && len(value) >= 4 {
		a += float32(weights[index[0]] * value[0])
		b += float32(weights[index[1]] * value[1])
		c += float32(weights[index[2]] * value[2])
		d += float32(weights[index[3]] * value[3])
		index, value = index[4:], value[4:]
	}
	for k, f := range index {
		a += float32(weights[f] * value[k])
	}
	return (a + c) + (b + d)
}

// addSparse adds step times a sparse vector, which has every number once, to weights,
// which has all of them.
func addSparse(weights []float32, index []int32, value []float32, step float32) {
	if len(index) > 0 {
		addSparseWhole(weights, index, value[:len(index)], step)
	}
}

func addSparsePlain(weights []float32, index []int32, value []float32, step float32) {
	value = value[:len(index)]
	for k, f := range index {
		weights[f] += float32(step * value[k])
	}
}
