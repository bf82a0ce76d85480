package main

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/colloquyhq/colloquy/conversation"
)

const errorsIntro = `# Errors

<!-- made by go run ./docs/gen; change conversation/codes.go instead -->

Every refusal carries a stable code. Over HTTP it comes as
` + "`application/problem+json`" + ` (RFC 9457) with the status below and the code in
the field ` + "`code`" + `; over a socket it comes as an error frame with the same
code. Codes are never reused for something else.

*Retry* says whether the same request may succeed later. A message keeps its id
(` + "`id`" + ` over HTTP, ` + "`client_id`" + ` on a socket) when it is sent again: what
was stored the first time is recognized and answered with the first receipt.

| code | status | class | retry | meaning |
|---|---|---|---|---|
`

// errorsPage lists the codes in the order of their table, which goes from the
// sender's mistakes to ours.
func errorsPage() []byte {
	var b bytes.Buffer
	b.WriteString(errorsIntro)
	for _, r := range conversation.Codes() {
		retry := "no"
		if r.Retry {
			retry = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | %d %s | %s | %s | %s |\n", r.Code, r.Status, http.StatusText(r.Status), r.Class, retry, r.Means)
	}
	return b.Bytes()
}
