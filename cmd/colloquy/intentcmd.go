package main

// intentCmd is `colloquy intent`: one field a subcommand, each in a file of its
// own.
type intentCmd struct {
	Import      intentImportCmd      `cmd:"" help:"Make a pack of a spreadsheet or of another bot's export."`
	Export      intentExportCmd      `cmd:"" help:"Write packs as YAML, JSON, a spreadsheet or a Rasa project."`
	Test        intentTestCmd        `cmd:"" help:"Report how well packs tell their own questions apart, and what to mend."`
	Shadow      intentShadowCmd      `cmd:"" help:"Report what the shadow of a running node would have said."`
	Suggest     intentSuggestCmd     `cmd:"" help:"List what visitors asked without a right answer, and take it into the packs."`
	Conformance intentConformanceCmd `cmd:"" help:"Check an intent backend of your own against the protocol."`
}
