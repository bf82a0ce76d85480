// Package sockets measures the gateway: what an idle connection costs, how much
// work a message is, how fast an event reaches many, what a client that does not
// read does to the others, and how long everybody takes to come back.
//
// A measurement has a server process and a load process, on a core each where
// there are two, and this one, which leads them by a JSON object a line. The
// server is the gateway with its engine stubbed, a real node, or any program
// that answers like one (see bench/peers). It is measured from outside:
// resident memory and processor time as the kernel counts them.
package sockets
