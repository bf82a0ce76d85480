package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// readQuestions reads JSON lines, or a pack in JSON.
func readQuestions(path string) ([]question, error) {
	read := readLines
	if strings.HasSuffix(path, ".json") {
		read = readPack
	}
	out, err := read(path)
	if err == nil && !slices.ContainsFunc(out, func(q question) bool { return q.Intent != out[0].Intent }) {
		err = fmt.Errorf("%s: questions for two intents at least are needed", path)
	}
	return out, err
}

// readPack reads the questions of a pack as `colloquy intent export` writes it.
func readPack(path string) ([]question, error) {
	raw, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	var pack struct {
		Intents []struct {
			ID         string              `json:"id"`
			Ask        map[string][]string `json:"ask"` // by language
			Background bool                `json:"background"`
		} `json:"intents"`
	}
	if err := json.Unmarshal(raw, &pack); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var out []question
	for _, in := range pack.Intents {
		for _, lang := range slices.Sorted(maps.Keys(in.Ask)) {
			for _, text := range in.Ask[lang] {
				if !in.Background {
					out = append(out, question{Intent: in.ID, Text: text})
				}
			}
		}
	}
	return out, nil
}

func readLines(path string) ([]question, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var out []question
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil || q.Intent == "" || q.Text == "" {
			return nil, fmt.Errorf("%s:%d: a line is a JSON object with \"intent\" and \"text\"", path, n)
		}
		out = append(out, q)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}
