package intent

import "sync"

// memory is what a training needs and its head does not keep. It is large, and another
// training often follows soon, so they hand it on to each other.
type memory struct {
	index            []int32
	values, dense    []float32
	weights, margins []float32
}

// spareMemory holds memory that no training has at present. Its contents mean nothing.
//
//nolint:gochecknoglobals // a cache of the collector's, which empties it
var spareMemory sync.Pool

func borrowMemory() *memory {
	if m, ok := spareMemory.Get().(*memory); ok {
		return m
	}
	return &memory{}
}

// take gives n numbers, whatever they are, in the memory of v if there is enough.
func take[T any](v *[]T, n int) []T {
	if cap(*v) < n {
		*v = make([]T, n)
	}
	return (*v)[:n]
}
