// Package webhooks measures how many messages a second a node takes through
// POST /webhook, durably, and what each costs it. The node and the load are
// processes of their own, which share the machine's cores or, where it has two and
// Options.Apart says so, have one each.
package webhooks
