package main

// chaosCmd is `colloquy chaos`.
type chaosCmd struct {
	Single chaosSingleCmd `cmd:"" help:"One node, killed again and again while visitors write."`
}
