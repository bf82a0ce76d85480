package main

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/colloquyhq/colloquy/engine"
)

// ask makes one call to a running node.
func (f *nodeFlags) ask(t *tool, method, path string, body, answer any) error {
	config, err := f.load(t, nil)
	if err != nil {
		return err
	}
	address := f.Node
	if address == "" {
		if !config.Cluster.Clustered() {
			return &failure{exitUsage, errors.New("cluster.listen is not set: the node is alone, or its configuration is elsewhere (--config), or --node says whom to ask")}
		}
		if address, err = ownLink(&config.Cluster); err != nil {
			return &failure{exitUsage, err}
		}
	}
	return callNode(t, &config, f.Timeout, engine.Call{Address: address, Method: method, Path: path, Body: body, Answer: answer})
}

// callNode makes one call over the link, as whoever has the cluster key may.
func callNode(t *tool, config *engine.Config, timeout time.Duration, call engine.Call) error {
	dialer, err := config.Cluster.Dialer()
	if err != nil {
		return &failure{exitUsage, err}
	}
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	return engine.CallOperator(ctx, dialer, call)
}

// ownLink gives the address of this machine's node for somebody on it.
func ownLink(c *engine.ClusterConfig) (string, error) {
	address, err := c.LinkAddress()
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}
