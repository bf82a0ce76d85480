// Package gateway is the edge: WebSockets, the HTTP API, the widget's and the
// console's pages. It turns frames and requests into inbound messages and
// commands, and commits back into frames.
//
// There is no actor per socket. A connection is one goroutine that reads, one
// that writes while there is something to write, and a bounded queue between
// the world and the second. [Hub] knows which connections follow which
// conversation and feeds them from the commit stream, in commit order.
//
// Nothing here decides what may happen in a conversation; the gateway decides
// who is asking (routes.go has the policy of every route on its line) and
// hands the rest on through the small interfaces of backend.go.
package gateway
