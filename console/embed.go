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

//go:embed ops
var ops embed.FS

// Pages is the tree of static files as it is served: widget.js,
// widget/frame.html, sdk/, demo/index.html, agent/index.html and favicon.svg, which
// must be revalidated, and assets/, whose names carry the hash of their
// content, so that they may be cached for ever.
func Pages() fs.FS { return below(dist, "dist") }

// StatusPage is the files of the page that shows a node's metrics: index.html and
// what it loads from beside it. It belongs on the operations listener, where the
// metrics are.
func StatusPage() fs.FS { return below(ops, "ops") }

func below(tree fs.FS, folder string) fs.FS {
	pages, err := fs.Sub(tree, folder)
	if err != nil {
		panic(fmt.Sprintf("console: the name %s is not valid: %v", folder, err)) // a constant, so only a typo here can do it
	}
	return pages
}
