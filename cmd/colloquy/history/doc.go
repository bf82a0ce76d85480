// Package history reads stored conversations again: what their state was after
// each event, and what another bot would have made of their turns.
package history
