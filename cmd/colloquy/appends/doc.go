// Package appends measures how many messages a journal makes durable in a
// second, and what each costs. One process coordinates; each node is a process
// of its own with a journal and writers, joined as a cluster over loopback like
// real nodes, without everything that a server has above its journal.
package appends
