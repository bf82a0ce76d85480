//go:build !linux

package sockets

import "os/exec"

func startOn(cmd *exec.Cmd, _ int) error { return cmd.Start() }
