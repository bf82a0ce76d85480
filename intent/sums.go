package intent

// addRows adds the weights of some features, each times its value, to the margins
// of all classes.
func addRows(margins, weights []float32, ids []int32, values []float32) {
	n := len(margins)
	values = values[:len(ids)]
	// Four at a time: what is slow is reading and writing the margins.
	for ; len(ids) >= 4; ids, values = ids[4:], values[4:] {
		a := weights[int(ids[0])*n:][:n]
		b := weights[int(ids[1])*n:][:n]
		c := weights[int(ids[2])*n:][:n]
		d := weights[int(ids[3])*n:][:n]
		va, vb, vc, vd := values[0], values[1], values[2], values[3]
		for k := range margins {
			margins[k] += va*a[k] + vb*b[k] + vc*c[k] + vd*d[k]
		}
	}
	for i, id := range ids {
		a, va := weights[int(id)*n:][:n], values[i]
		for k := range margins {
			margins[k] += va * a[k]
		}
	}
}

// addDense does the same for the dense part, which has all features.
func addDense(margins, w, dense []float32) {
	n := len(margins)
	w = w[:len(dense)*n]
	d := 0
	for ; d+4 <= len(dense); d += 4 {
		a, b, c, e := w[d*n:][:n], w[(d+1)*n:][:n], w[(d+2)*n:][:n], w[(d+3)*n:][:n]
		va, vb, vc, ve := dense[d], dense[d+1], dense[d+2], dense[d+3]
		for k := range margins {
			margins[k] += va*a[k] + vb*b[k] + vc*c[k] + ve*e[k]
		}
	}
	for ; d < len(dense); d++ {
		a, va := w[d*n:][:n], dense[d]
		for k := range margins {
			margins[k] += va * a[k]
		}
	}
}
