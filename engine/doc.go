// Package engine wires a Colloquy node together and is the way to embed one.
//
//	e, err := engine.New(engine.Options{Config: engine.DefaultConfig(), Bindings: []actors.Binding{…}})
//	…
//	err = e.Run(ctx) // until ctx ends
//
// It is the only package that may import all others.
package engine
