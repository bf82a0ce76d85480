package main

import (
	"strings"
	"testing"
)

func TestTraceIsPrinted(t *testing.T) {
	t.Parallel()
	n := setUpShop(t, "--set", "tracing.ratio=1")
	o := n.operator(t)
	got, _ := n.post(t, "u1", "m1", "when are you open")
	id := got.Conversation
	o.refused(exitUsage, "neither a conversation nor a trace", "trace", "nobody")
	o.refused(exitUsage, "--last", "trace", id, "--last", "0")
	o.refused(exitFailed, "no trace of this conversation is kept", "trace", id, "--errors")
	var out string
	eventually(t, "the turn's trace", func() bool {
		stdout, _, code := o.run("trace", id)
		out = stdout
		return code == exitOK
	})
	wantIn(t, out, "kept: sampled", "gateway.in ", "\n  turn ", "\n    grain ", "\n    store.append ", "\nA = ")
	trace, _, _ := strings.Cut(out, " ")
	wantIn(t, o.ok("trace", trace), "gateway.in ", "\n    store.append ")
	wantIn(t, o.ok("trace", trace, "--json"), `"resourceSpans"`, trace)
	o.refused(exitFailed, "no such trace", "trace", strings.Repeat("0", 31)+"1")
}
