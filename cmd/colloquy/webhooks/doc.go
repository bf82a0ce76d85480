// Package webhooks measures how many messages a second a node takes through
// POST /webhook, durably, and what each costs it. The node and the load are
// processes of their own, on a core each where there are two.
package webhooks
