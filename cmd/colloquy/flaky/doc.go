// Package flaky runs a real node against a provider that fails in every way of
// the error table, and then holds what the provider took, what the visitors wrote
// and what agents see against each other: nothing may be lost, nothing may be
// sent twice, and the order of each conversation is kept. Where the provider
// gives no way to know, the message has to be shown as uncertain.
package flaky
