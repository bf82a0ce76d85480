// Package learning draws from conversations what an operator's packs can be made
// better with: which answers were right, so that an inbox's bot states the
// confidence that it deserves, and which questions nobody had an answer for.
//
// Everything is a projection of the journal. Each node folds the same
// conversations into the same book, inbox by inbox; the node that has the
// inbox's queue writes the book down now and then, so that the others and the
// next start need not read all conversations again. What comes twice, or in
// another order, changes nothing.
package learning
