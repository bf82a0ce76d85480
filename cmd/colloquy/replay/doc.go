// Package replay holds whole conversations with an engine in this process and
// says what became of them: resolved, answered wrongly, or left to humans.
package replay
