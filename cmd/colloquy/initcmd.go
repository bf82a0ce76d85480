package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/engine"
	"github.com/colloquyhq/colloquy/persistence"
)

// initCmd is `colloquy init`.
type initCmd struct {
	configFlags

	Inbox string `help:"Also make a first inbox with this id, answered by the e-commerce pack, and print its ingress credential." placeholder:"ID"`
}

// Run implements the subcommand.
func (c *initCmd) Run(t *tool) error {
	s, err := c.makeStore(t)
	if err != nil {
		return err
	}
	made, err := engine.SetUp(t.ctx, s, c.Inbox)
	if cerr := s.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return setUpFailure(err)
	}
	return printSetup(t.stdout, made, "Start the node with `colloquy serve`, open /agent")
}

// setUpFailure gives the refusals of a set-up their exit codes.
func setUpFailure(err error) error {
	switch {
	case errors.Is(err, conversation.ErrConflict):
		return &failure{exitCheck, err}
	case errors.Is(err, conversation.ErrInvalid):
		return &failure{exitUsage, err}
	}
	return err
}

func printSetup(w io.Writer, made engine.Setup, then string) error {
	if made.Inbox != "" {
		_, _ = fmt.Fprintf(w, "Ingress credential of inbox %s, shown once; one that was printed before is void:\n\n  %s\n\n", made.Inbox, made.Ingress)
	}
	_, err := fmt.Fprintf(w, "One-time setup token, good for %v:\n\n  %s\n\n%s and enter it there to make the first admin.\n", engine.SetupLife, made.Token, then)
	return err
}

// openStore opens the journal for a command that works on a node at rest, and
// refuses a folder that holds none.
func (f *configFlags) openStore(t *tool) (*persistence.Store, error) {
	config, err := f.load(t, nil)
	if err != nil {
		return nil, err
	}
	if err := persistence.Present(config.DataDir); err != nil {
		return nil, noJournal(err)
	}
	return openDir(t, config.DataDir)
}

// noJournal gives the refusal of a folder without a journal its exit code.
func noJournal(err error) error {
	if errors.Is(err, persistence.ErrNoJournal) {
		return &failure{exitUsage, err}
	}
	return err
}

// makeStore opens the journal for a command that fills the folder of a node at
// rest: where there is none it makes one.
func (f *configFlags) makeStore(t *tool) (*persistence.Store, error) {
	config, err := f.load(t, nil)
	if err != nil {
		return nil, err
	}
	return openDir(t, config.DataDir)
}

func openDir(t *tool, dir string) (*persistence.Store, error) {
	// Where the disk fails the process ends, and this is the last that is heard of it.
	logger := slog.New(slog.NewTextHandler(t.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	s, err := persistence.Open(persistence.Options{Dir: dir, Logger: logger})
	if errors.Is(err, persistence.ErrLocked) {
		return nil, fmt.Errorf("%s is in use by a running node; stop it first: %w", dir, err)
	}
	return s, err
}
