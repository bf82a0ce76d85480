// Package intent turns a visitor's text into ranked intents with calibrated
// confidence, and finds values such as order numbers in it.
//
// What can be understood stands in packs: YAML files with questions, answers,
// entities and flows. A [Library] reads the built-in packs and the operator's,
// trains a model for each combination of packs that an inbox uses, and trains
// again when a file changes. Training is a matter of tenths of a second, so
// there are no weight files: the packs are the model.
//
// The way of an utterance:
//
//	text → fold (normalize.go) → entities and masks (extract.go)
//	     → tokens → n-grams (tokens.go, grams.go)
//	     → linear margins and nearest question (head.go, nearest.go)
//	     → confidence (calibrate.go) → Prediction
//
// Everything here is deterministic: the same packs give the same model and the
// same predictions on one machine architecture.
package intent
