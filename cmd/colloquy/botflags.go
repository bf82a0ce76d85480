package main

import (
	"context"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
)

// botFlags choose the bot of a node under test.
type botFlags struct {
	Pack     string `help:"Pack that answers." default:"ecommerce" placeholder:"NAME"`
	PacksDir string `help:"Folder with own packs; one named as a built-in pack takes its place." type:"path" placeholder:"DIR"`
}

func (f *botFlags) flags() []string {
	if f.PacksDir == "" {
		return nil
	}
	return []string{"--packs-dir", f.PacksDir}
}

// prepareDir makes a data directory with the inbox in it.
func (f *botFlags) prepareDir(ctx context.Context, dir string) error {
	_, err := lab.Furnish(ctx, dir, lab.House{Pack: f.Pack})
	return err
}
