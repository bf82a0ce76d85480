// Package anomaly finds conversations that are unlike the others of their
// channel: turns that take longer or cost more, messages that come faster, and
// visitors who seem to be programs.
//
// What is usual is learned of all conversations of a channel on the node
// ([Usual]), and a conversation is compared with that, never with itself: what
// has been slow from its first turn on is found, too. A sum of what single
// values are too much ([Run]) tells a change from an outlier. Each conversation
// costs a few numbers ([Session]) and nothing is allocated while nothing is
// wrong. How often it is right is in docs/anomalies.md, from the simulation in
// this package's tests.
//
// Who waits too long is known from the state of a conversation, and not looked
// for here.
package anomaly
