// Package soak runs a real node for hours under visitors who come, talk, lose
// their connection, come back and go, and looks whether it gets any larger and
// whether anything gets lost.
package soak
