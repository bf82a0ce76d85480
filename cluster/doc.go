// Package cluster decides where a grain lives and brings messages there.
//
// A grain is a virtual actor: it has a kind and an id, is started by the first
// message for it, and is put to rest when nobody has written for a while. The
// [Gate] of a node hosts that node's grains on protoactor-go, checks ownership
// against an immutable [View] on every message, bounds what may wait for a
// grain, and passivates without losing a message.
//
// Placement buys speed only. That a grain may be active twice for a moment is
// accepted here and made harmless by the journal, which fences the older
// activation.
package cluster
