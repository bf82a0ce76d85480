// Package load is the other side of the socket benchmarks: a process of one
// thread that holds thousands of WebSockets by raw epoll, with a framing of its
// own, and looks at every frame that it gets.
//
// It shares no code with the gateway, so that a mistake cannot cancel itself
// out. It is led by orders, one JSON object a line, and gives one answer for
// each; see [Serve].
package load
