package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
	"github.com/colloquyhq/colloquy/intent"
)

// botFlags choose the bot of a node under test.
type botFlags struct {
	Pack     string `help:"Pack that answers." default:"ecommerce" placeholder:"NAME"`
	PacksDir string `help:"Folder with own packs; one named as a built-in pack takes its place." type:"path" placeholder:"DIR"`
}

// check refuses a pack that is nowhere: the node would run without a bot, and
// whatever is measured would be about that.
func (f *botFlags) check() error {
	l, err := intent.Open(intent.Options{Dir: f.PacksDir})
	if err != nil {
		return err
	}
	var names []string
	for _, p := range l.Packs() {
		names = append(names, p.Name)
	}
	if !slices.Contains(names, f.Pack) {
		return &failure{exitUsage, fmt.Errorf("--pack: there is no pack %q, only %s; --packs-dir names a folder with more", f.Pack, strings.Join(names, ", "))}
	}
	return nil
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
