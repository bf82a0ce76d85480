package main

// benchCmd is `colloquy bench`.
type benchCmd struct {
	Turns   benchTurnsCmd   `cmd:"" help:"Full bot turns: socket in, classified, durable, reply out."`
	Appends benchAppendsCmd `cmd:"" help:"Durable appends to the journal of one node or of a cluster."`
	Webhook benchWebhookCmd `cmd:"" help:"Messages through POST /webhook, durable, and what each costs the node."`
	Moves   benchMovesCmd   `cmd:"" help:"The loss of a node that holds many conversations, until all of them answer again."`

	Idle   benchIdleCmd   `cmd:"" help:"Connections that say nothing: what each of them costs."`
	Echo   benchEchoCmd   `cmd:"" help:"The smallest round trip: a ping of the WebSocket protocol and its pong."`
	JSON   benchJSONCmd   `cmd:"" name:"json" help:"A visitor's message, routed and acknowledged by the gateway; the engine behind it is stubbed."`
	Burst  benchBurstCmd  `cmd:"" help:"The same with several messages in each write of a client."`
	Fanout benchFanoutCmd `cmd:"" help:"One event to everybody who follows its conversation."`
	Slow   benchSlowCmd   `cmd:"" help:"Clients that do not read: what they hold, and what they do to the others."`
	Storm  benchStormCmd  `cmd:"" help:"A real node is killed and started again, and all its visitors come back at once."`

	SocketServer socketServerCmd `cmd:"" hidden:""`
	SocketLoad   socketLoadCmd   `cmd:"" hidden:""`
	WebhookLoad  webhookLoadCmd  `cmd:"" hidden:""`
}
