// Package probe marks the places where somebody outside may look on: the begin
// and end of a bot's turn, and a connection joining a conversation.
//
// The marks are functions of a few idle bytes. Nobody attached, a mark costs its
// call. An observer such as colloquy-ebpf, or bpftrace, has the kernel put a trap
// or a call there (a uprobe) and reads the arguments, also of a process that is
// stopped or hangs; see docs/ebpf.md.
//
// They are written in assembly for three reasons. The first bytes are NOPs, which
// the kernel emulates or replaces; the first instruction of a compiled function
// it would have to single-step, at twenty-five times the cost. The assembly ABI
// puts the arguments on the stack, in the order below, in every release of Go. And
// no compiler inlines them away.
//
// What a mark takes is its contract with observers: a mark that takes something
// else needs another name.
package probe
