// Package packs holds the packs that come with the program.
package packs

import (
	"embed"
	"io/fs"
)

//go:embed */*.yaml
var files embed.FS

// FS gives the built-in packs, one folder each.
func FS() fs.FS { return files }
