// Package gateway is the edge: WebSockets, the HTTP API, the widget's and the
// console's pages. It turns frames and requests into inbound messages and
// commands, and commits back into frames.
//
// There is no actor and no goroutine per socket. A request for one is answered
// by net/http, checked, and its connection handed to package loop, whose event
// loops call a [conn] when something happens to it. From bytes to answers:
//
//   - framer.go judges frames before anything is allocated for them, and lets
//     whole messages through only.
//   - codec.go is the WebSocket library, reading for all clients of a loop.
//   - handle.go acts on a message at once, or leaves what takes time to crew.go;
//     meanwhile nothing more of that client is read.
//   - outqueue.go holds, within bounds, what is not written yet; what gathers in
//     a turn of the loop leaves with one write.
//   - due.go has every time limit.
//
// Who is not served by a loop (TLS, other systems than Linux) takes the same way
// on goroutines.
//
// [Hub] knows which connections follow which conversation and feeds them from
// the commit stream, in commit order.
//
// Nothing here decides what may happen in a conversation; the gateway decides
// who is asking (routes.go has the policy of every route on its line) and
// hands the rest on through the small interfaces of backend.go.
package gateway
