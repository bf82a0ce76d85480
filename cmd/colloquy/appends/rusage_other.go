//go:build !unix

package appends

// processTime would be the processor time of this process; it is not known here.
func processTime() int64 { return 0 }
