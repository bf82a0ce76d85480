package main

import (
	"fmt"

	"github.com/colloquyhq/colloquy/engine"
)

// checkConfigCmd is `colloquy check-config`.
type checkConfigCmd struct {
	configFlags

	Print bool `help:"Also print every value in force."`
}

// Run implements the subcommand.
func (c *checkConfigCmd) Run(t *tool) error {
	config, err := c.load(t, nil)
	if err != nil {
		return &failure{exitCheck, err}
	}
	if c.Print {
		for _, s := range config.Settings() {
			_, _ = fmt.Fprintf(t.stdout, "%s = %s\n", s.Key, s)
		}
	}
	_, err = fmt.Fprintln(t.stdout, "the configuration is good")
	return err
}

// defaultConfigCmd is `colloquy default-config`.
type defaultConfigCmd struct{}

// Run implements the subcommand.
func (*defaultConfigCmd) Run(t *tool) error { return engine.WriteDefaults(t.stdout) }

// versionCmd is `colloquy version`.
type versionCmd struct{}

// Run implements the subcommand.
func (*versionCmd) Run(t *tool) error {
	_, err := fmt.Fprintln(t.stdout, "colloquy", buildVersion())
	return err
}
