package soak

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/colloquyhq/colloquy/cmd/colloquy/lab"
)

// Sample is the size of a node at a moment.
type Sample struct {
	Seconds    float64 `json:"seconds"`
	RSS        int64   `json:"rss"`
	Heap       int64   `json:"heap"` // live at the last collection of garbage
	Goroutines int     `json:"goroutines"`
	Files      int     `json:"files"`
}

// The metrics that a sample is made of. The next collection is due when the
// heap is twice as large as what the last one left alive.
const (
	metricRSS        = "process_resident_memory_bytes"
	metricNextGC     = "go_memstats_next_gc_bytes"
	metricGoroutines = "go_goroutines"
	metricFiles      = "process_open_fds"
)

// look reads a node's own figures.
func look(ctx context.Context, n *lab.Node) (Sample, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Ops()+"/metrics", http.NoBody)
	if err != nil {
		return Sample{}, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return Sample{}, err
	}
	defer func() { _ = res.Body.Close() }()
	values, err := readMetrics(res.Body)
	if err != nil {
		return Sample{}, err
	}
	for _, name := range []string{metricNextGC, metricGoroutines} {
		if values[name] <= 0 {
			return Sample{}, fmt.Errorf("the node does not tell %s", name)
		}
	}
	return Sample{
		RSS: int64(values[metricRSS]), Heap: int64(values[metricNextGC] / 2), Goroutines: int(values[metricGoroutines]), Files: int(values[metricFiles]),
	}, nil
}

// readMetrics reads the metrics without labels.
func readMetrics(r io.Reader) (map[string]float64, error) {
	out := make(map[string]float64)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.ContainsAny(name, "#{") {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			out[name] = v
		}
	}
	return out, lines.Err()
}
