// Package remote asks an intent engine that is somebody else's program, over
// HTTP: the protocol, a client that bundles, bounds and breaks, and a
// classifier that puts the answers beside those of the built-in engine.
//
// The built-in engine understands every utterance as well, in microseconds. It
// gives the entities and the language, and it is the answer when the other one
// is late, broken or wrong, so that a turn never waits for more than the time
// limit and never goes without.
//
// The protocol stands in docs/intent-plugin.md; conformance/ checks a server
// against it.
package remote
