package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// healthcheckCmd is `colloquy healthcheck`.
type healthcheckCmd struct {
	configFlags

	Address string        `help:"Operations address of the node; default: as configured." placeholder:"HOST:PORT"`
	Timeout time.Duration `help:"How long to wait for the answer." default:"3s"`
}

// Run implements the subcommand.
func (c *healthcheckCmd) Run(t *tool) error {
	address := c.Address
	if address == "" {
		config, err := c.load(t, nil)
		if err != nil {
			return err
		}
		address = config.OpsListen
	}
	if address == "" {
		return &failure{exitUsage, errors.New("the node has no operations address")}
	}
	ctx, cancel := context.WithTimeout(t.ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz?verbose", http.NoBody)
	if err != nil {
		return &failure{exitUsage, err}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return &failure{exitCheck, err}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return &failure{exitCheck, err}
	}
	_, _ = fmt.Fprintln(t.stdout, strings.TrimSpace(string(body)))
	if res.StatusCode != http.StatusOK {
		return &failure{exitCheck, errors.New("the node is not ready")}
	}
	return nil
}
