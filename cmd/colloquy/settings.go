package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/colloquyhq/colloquy/engine"
)

// setFlags puts flags above everything else. Empty values were not given.
func setFlags(c *engine.Config, values map[string]string, pairs []string) error {
	settings := map[string]engine.Setting{}
	for _, s := range c.Settings() {
		settings[s.Key] = s
	}
	var errs []error
	for key, value := range values {
		if value != "" {
			errs = append(errs, settings[key].Set(value))
		}
	}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		s, known := settings[key]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("--set %s: write KEY=VALUE", pair))
		case !known:
			errs = append(errs, fmt.Errorf("--set %s: no setting has this key; `colloquy default-config` lists them", key))
		default:
			errs = append(errs, s.Set(value))
		}
	}
	return errors.Join(errs...)
}

// withoutFlagVariables leaves out what the command line itself reads.
func withoutFlagVariables(environ []string) []string {
	var out []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if name != "COLLOQUY_CONFIG" && name != "COLLOQUY_API" && name != "COLLOQUY_API_TOKEN" {
			out = append(out, pair)
		}
	}
	return out
}
