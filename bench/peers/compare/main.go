// Command compare runs the socket benchmarks against the gateway and its peers,
// one after the other and with the same load, and prints a table of both what
// was measured and how many times the gateway's cost it is.
//
//	go run ./compare -colloquy ../../bin/colloquy -peers ../../bin/peers
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// server is what is measured; the gateway has no command.
type server struct{ name, command string }

// measure is one benchmark and the figure that counts in it.
type measure struct {
	title, figure string
	args          []string
	unit          string
}

func main() {
	colloquy := flag.String("colloquy", "../../bin/colloquy", "the program whose gateway is compared, and whose load does the asking")
	peers := flag.String("peers", "../../bin/peers", "folder with the peers' programs")
	idle := flag.Int("connections", 10_000, "idle connections")
	seconds := flag.Int("seconds", 8, "of each measurement")
	rounds := flag.Int("rounds", 3, "of which the median is shown")
	flag.Parse()
	if err := run(*colloquy, *peers, *idle, *seconds, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(colloquy, peers string, idle, seconds, rounds int) error {
	servers := []server{{name: "colloquy"}}
	for _, name := range []string{"gws", "gorilla", "coder"} {
		servers = append(servers, server{name, filepath.Join(peers, name)})
	}
	if node, err := exec.LookPath("node"); err == nil {
		servers = append(servers, server{"node ws", node + " --expose-gc node/server.mjs"})
	}
	duration := "--duration=" + (time.Duration(seconds) * time.Second).String()
	for _, m := range []measure{
		{"idle, bytes a connection", "bytes_per_conn", []string{"idle", "--connections=" + strconv.Itoa(idle)}, "%.0f"},
		{"ping and pong, µs", "cpu_us_per_msg", []string{"echo", duration}, "%.1f"},
		{"JSON message and ack, µs", "cpu_us_per_msg", []string{"json", duration}, "%.1f"},
		{"… at 10,000 a second, µs", "cpu_us_per_msg", []string{"json", duration, "--rate=10000"}, "%.1f"},
		{"… eight in a write, µs", "cpu_us_per_msg", []string{"burst", duration}, "%.2f"},
	} {
		if err := compare(colloquy, servers, m, rounds); err != nil {
			return err
		}
	}
	return nil
}

// compare runs a benchmark for all servers in turn, so that all of them see the
// same mood of the machine, and prints a row.
func compare(colloquy string, servers []server, m measure, rounds int) error {
	all := make([][]float64, len(servers))
	for range rounds {
		for i, s := range servers {
			v, err := once(colloquy, s, m)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", m.title, s.name, err)
			}
			all[i] = append(all[i], v)
		}
	}
	if m.figure == "bytes_per_conn" {
		header := "| |"
		for _, s := range servers {
			header += " " + s.name + " |"
		}
		fmt.Println(header + "\n|" + strings.Repeat("---|", len(servers)+1))
	}
	row, own := "| "+m.title+" |", median(all[0])
	for i := range servers {
		v := median(all[i])
		row += " " + fmt.Sprintf(m.unit, v)
		if i > 0 && own > 0 {
			row += fmt.Sprintf(" (×%.2f)", v/own)
		}
		row += " |"
	}
	fmt.Println(row)
	return nil
}

func once(colloquy string, s server, m measure) (float64, error) {
	args := append([]string{"bench"}, m.args...)
	args = append(args, "--json")
	if s.command != "" {
		args = append(args, "--against", s.command)
	}
	cmd := exec.CommandContext(context.Background(), colloquy, args...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, complaint.String())
	}
	var line bytes.Buffer
	if json.Compact(&line, out) == nil {
		fmt.Fprintln(os.Stderr, line.String())
	}
	var figures map[string]any
	if err := json.Unmarshal(out, &figures); err != nil {
		return 0, err
	}
	v, ok := figures[m.figure].(float64)
	if !ok {
		return 0, fmt.Errorf("no %s in %s", m.figure, out)
	}
	return v, nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
