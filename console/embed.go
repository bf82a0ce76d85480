// Package console carries the browser pages: the visitor widget, the agent
// console and the demo shop. They are built from the TypeScript beside it by
// "npm run build"; what is embedded is the committed result, so that building
// the server needs no Node.
package console

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed dist
var dist embed.FS

// Pages is the tree of static files as it is served: widget.js,
// widget/frame.html, sdk/, demo/index.html, agent/index.html and favicon.svg, which
// must be revalidated, and assets/, whose names carry the hash of their
// content, so that they may be cached for ever.
func Pages() fs.FS {
	pages, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(fmt.Sprintf("console: the name dist is not valid: %v", err)) // a constant, so only a typo here can do it
	}
	return pages
}
