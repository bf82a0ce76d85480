package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
)

// profileNode writes a processor profile of a node to a file while a
// measurement runs. The channel gives one result; an empty file name gives nil
// at once.
func profileNode(ctx context.Context, n *lab.Node, file string, d time.Duration) <-chan error {
	done := make(chan error, 1)
	if file == "" {
		done <- nil
		return done
	}
	go func() { done <- fetchProfile(context.WithoutCancel(ctx), n, file, max(int(d.Seconds())-1, 1)) }()
	return done
}

func fetchProfile(ctx context.Context, n *lab.Node, file string, seconds int) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", n.Ops(), seconds)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("profile: status %d", res.StatusCode)
	}
	f, err := os.Create(file) //nolint:gosec // the caller names the file
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, res.Body); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
