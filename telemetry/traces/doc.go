// Package traces keeps the traces that the flight recorders of package flight
// are asked for.
//
// A [Keeper] gathers the spans of a wanted trace from this node and from the
// others that its turn touched, soon after the turn and once more a moment later,
// when the reply has been sent. It stores them in a bounded folder of files, which
// survives a restart, and hands them to an exporter. Every node keeps the traces
// of the conversations that it owned; who lists them asks all nodes.
package traces
