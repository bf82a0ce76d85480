package main

// benchCmd is `colloquy bench`.
type benchCmd struct {
	Turns benchTurnsCmd `cmd:"" help:"Full bot turns: socket in, classified, durable, reply out."`
}
