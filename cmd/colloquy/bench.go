package main

// benchCmd is `colloquy bench`.
type benchCmd struct {
	Turns   benchTurnsCmd   `cmd:"" help:"Full bot turns: socket in, classified, durable, reply out."`
	Appends benchAppendsCmd `cmd:"" help:"Durable appends to the journal of one node or of a cluster."`
	Moves   benchMovesCmd   `cmd:"" help:"The loss of a node that holds many conversations, until all of them answer again."`
}
