package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/colloquyhq/colloquy/engine"
	"github.com/colloquyhq/colloquy/persistence"
)

// exportCmd is `colloquy export`.
type exportCmd struct {
	configFlags

	Out     string `help:"File to write, which must not exist; - is standard output." default:"-" placeholder:"FILE"`
	Secrets bool   `help:"With password hashes, credentials and keys: for moving a node, not for giving away."`
}

// Run implements the subcommand.
func (c *exportCmd) Run(t *tool) error {
	s, err := c.openStore(t)
	if err != nil {
		return err
	}
	return errors.Join(c.export(t, s), s.Close())
}

func (c *exportCmd) export(t *tool, s *persistence.Store) error {
	write := s.Export
	if c.Secrets {
		write = s.ExportWithSecrets
	}
	if c.Out == "-" {
		return write(t.ctx, t.stdout)
	}
	f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(t.ctx, f), f.Sync(), f.Close())
}

// importCmd is `colloquy import`.
type importCmd struct {
	configFlags

	In string `arg:"" help:"An export; - is standard input."`
}

// Run implements the subcommand.
func (c *importCmd) Run(t *tool) error {
	in := io.Reader(os.Stdin)
	if c.In != "-" {
		f, err := os.Open(c.In)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	s, err := c.makeStore(t)
	if err != nil {
		return err
	}
	n, err := s.Import(t.ctx, bufio.NewReaderSize(in, 1<<20))
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.stdout, "%d lines imported\n", n)
	return err
}

// backupCmd is `colloquy backup`.
type backupCmd struct {
	configFlags

	To     string `help:"Folder to make." required:"" type:"path" placeholder:"DIR"`
	Verify bool   `help:"Read everything back and compare the checksums." default:"true" negatable:""`
}

// Run implements the subcommand.
func (c *backupCmd) Run(t *tool) error {
	if err := c.backup(t); err != nil {
		return err
	}
	if !c.Verify {
		_, err := fmt.Fprintln(t.stdout, "backup written to", c.To)
		return err
	}
	m, err := persistence.Verify(c.To)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.stdout, "backup written to %s and verified: %d files\n", c.To, len(m.Files))
	return err
}

// backup copies the journal of a node at rest, or has the running one of a
// cluster do it.
func (c *backupCmd) backup(t *tool) error {
	s, err := c.openStore(t)
	if err == nil {
		return errors.Join(s.Backup(t.ctx, c.To), s.Close())
	}
	config, cerr := c.load(t, nil)
	if cerr != nil || !errors.Is(err, persistence.ErrLocked) || !config.Cluster.Clustered() {
		return err
	}
	to, err := filepath.Abs(c.To)
	if err != nil {
		return err
	}
	node := nodeFlags{configFlags: c.configFlags, Timeout: backupTime}
	return node.ask(t, "POST", engine.BackupPath, map[string]string{"to": to}, nil)
}

// backupTime is how long a running node may take for its backup.
const backupTime = 10 * time.Minute

// restoreCmd is `colloquy restore`.
type restoreCmd struct {
	From   string `help:"The backup." required:"" type:"existingdir" placeholder:"DIR"`
	To     string `help:"The data directory to make; it must not hold anything." type:"path" placeholder:"DIR"`
	Verify bool   `help:"Only check the backup."`
}

// Run implements the subcommand.
func (c *restoreCmd) Run(t *tool) error {
	if c.Verify {
		m, err := persistence.Verify(c.From)
		if err != nil {
			return &failure{exitCheck, err}
		}
		_, err = fmt.Fprintf(t.stdout, "the backup is whole: %d files\n", len(m.Files))
		return err
	}
	if c.To == "" {
		return &failure{exitUsage, errors.New("--to is needed")}
	}
	id, err := persistence.Restore(c.From, c.To)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.stdout, "restored to %s as the new node %s\n", c.To, id.Node)
	return err
}
