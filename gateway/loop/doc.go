// Package loop looks after many connections with few goroutines.
//
// A [Group] has one event loop for each processor. A connection that is handed
// to it gives up its net.Conn: the socket is watched by the loop's epoll, an
// idle one owns no goroutine and no buffer, and whose it is hears of what
// happens to it through a [Handler]. Every loop reads into one buffer, writes
// what has gathered for a connection in a tick with one call, and keeps time
// for all of its connections on one wheel.
//
// What cannot be watched so (TLS, whose records only crypto/tls can read, and
// every connection outside Linux) is served by two goroutines behind the same
// [Conn] and the same [Handler].
//
// This is the only package that knows of epoll and file descriptors. It knows
// nothing of WebSockets.
package loop
