//go:build race

package intent

// raceDetector makes everything an order of magnitude slower; the tests that
// train the built-in packs leave it to the others.
const raceDetector = true
