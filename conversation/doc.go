// Package conversation holds the vocabulary and the rules of a customer
// conversation: what may be asked of it ([Command]), what happened to it
// ([Event]), what must happen outside because of that ([Effect]), and the
// [State] that the events fold into.
//
// The package is pure. It reads no clock, does no input or output and starts
// no goroutine; time arrives as data. Three functions carry the rules:
//
//	Decide(state, command, now)     -> events or a refusal
//	(*State).Apply(entry)           -> the next state
//	Effects(state, before, entries) -> what the shell around it has to do
//
// Because of that a conversation can be replayed exactly from its journal, and
// a new policy can be tried on last week's traffic.
package conversation
