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
	Heap       int64   `json:"heap"` // live, after collecting garbage
	Goroutines int     `json:"goroutines"`
	Files      int     `json:"files"`
}

// The metrics that a sample is made of.
const (
	metricRSS        = "process_resident_memory_bytes"
	metricHeap       = "go_memstats_heap_alloc_bytes"
	metricGoroutines = "go_goroutines"
	metricFiles      = "process_open_fds"
)

// look makes a node collect its garbage, without which the heap says when that
// happened last and little else, and reads its own figures.
func look(ctx context.Context, n *lab.Node) (Sample, error) {
	err := get(ctx, "http://"+n.Ops()+"/debug/pprof/heap?gc=1", func(r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
	var values map[string]float64
	if err == nil {
		err = get(ctx, "http://"+n.Ops()+"/metrics", func(r io.Reader) error {
			values, err = readMetrics(r)
			return err
		})
	}
	if err != nil {
		return Sample{}, err
	}
	for _, name := range []string{metricHeap, metricGoroutines} {
		if values[name] <= 0 {
			return Sample{}, fmt.Errorf("the node does not tell %s", name)
		}
	}
	return Sample{
		RSS: int64(values[metricRSS]), Heap: int64(values[metricHeap]), Goroutines: int(values[metricGoroutines]), Files: int(values[metricFiles]),
	}, nil
}

func get(ctx context.Context, url string, read func(io.Reader) error) error {
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
		return fmt.Errorf("%s: status %d", url, res.StatusCode)
	}
	return read(res.Body)
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
