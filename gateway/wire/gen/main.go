// Command gen writes the client protocol down twice from the Go structs of
// package wire: as TypeScript types for the console and as a page for people.
// Run it at the root of the module. The same sources give the same bytes.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("gen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("root", ".", "the root of the module, where the sources are read")
	out := flags.String("o", ".", "the folder under which the files are written")
	if err := flags.Parse(args); err != nil {
		return err
	}
	src, err := readSources(filepath.Join(*root, "gateway", "wire"), filepath.Join(*root, "conversation"))
	if err != nil {
		return err
	}
	for name, render := range map[string]func(*sources) []byte{
		filepath.Join("console", "src", "wire.gen.ts"): typescript,
		filepath.Join("docs", "protocol.md"):           page,
	} {
		if err := write(filepath.Join(*out, name), render(src)); err != nil {
			return err
		}
	}
	return nil
}

func write(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o644) //nolint:gosec // a source file, readable like the others
}
