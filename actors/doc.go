// Package actors holds the shells that own running state: the conversation
// grain, the queue grain of an inbox, the gateway shard actors between sockets
// and grains, the courier of the outbox, the pool of scoring actors, and the
// behaviors that answer.
//
// The rules are in package conversation; here a handler decides, appends,
// applies, answers and runs effects, in that order. The one thing a grain's
// handler may wait for is the journal. Everything else that takes time runs on
// the effect runner with a deadline and comes back as a message.
package actors
