// Package chaos breaks a cluster of real nodes on purpose, under load, and
// checks from outside that nothing was lost that had been acknowledged.
//
// A run is three things side by side: clients that write and keep a ledger of
// every acknowledgement, a storm that injects one fault after the other, and at
// the end an audit that compares the ledger with what every node has on its
// disk.
package chaos
