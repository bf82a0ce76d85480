// Package kernel is the observer's part in the kernel: it loads the programs of
// bpf/observer.c, attaches them to the marks of a program file, and reads what
// they have seen.
//
// Only Linux has what it takes; elsewhere [Load] says so.
package kernel
