package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
	"github.com/colloquyhq/colloquy/telemetry/traces"
)

// traceCmd is `colloquy trace`.
type traceCmd struct {
	apiFlags

	Conversation string `arg:"" help:"The conversation whose kept traces are shown, or the id of one trace."`
	Last         int    `help:"Show the newest so many." default:"1" placeholder:"N"`
	MinMS        int    `name:"min-ms" help:"Only turns that took at least so many milliseconds." placeholder:"MS"`
	Errors       bool   `help:"Only turns with an error."`
}

// Run implements the subcommand.
func (c *traceCmd) Run(t *tool) error {
	if id, err := conversation.ParseTraceID(c.Conversation); err == nil {
		return c.show(t, id)
	}
	id, err := conversation.ParseConversationID(c.Conversation)
	if err != nil {
		return &failure{exitUsage, fmt.Errorf("%q is neither a conversation nor a trace", c.Conversation)}
	}
	if c.Last < 1 {
		return &failure{exitUsage, errors.New("--last must be at least 1")}
	}
	q := url.Values{"conversation": {id.String()}, "limit": {strconv.Itoa(c.Last)}}
	if c.MinMS > 0 {
		q.Set("min_ms", strconv.Itoa(c.MinMS))
	}
	if c.Errors {
		q.Set("error", "true")
	}
	var found struct {
		Data []traces.Summary `json:"data"`
	}
	if err := c.call(t, apiCall{method: "GET", path: "/v1/traces?" + q.Encode(), answer: &found}); err != nil {
		return err
	}
	if len(found.Data) == 0 {
		return errors.New("no trace of this conversation is kept that fits: turns are kept when they fail, are slower than 99 of 100, or are watched or sampled")
	}
	for i := range found.Data {
		s := &found.Data[i]
		if !c.JSON {
			_, _ = fmt.Fprintf(t.stdout, "%s  %s  %v  %s  kept: %s\n", s.ID, s.Began.Format("2006-01-02 15:04:05.000"),
				time.Duration(s.Took*float64(time.Millisecond)).Round(10*time.Microsecond), s.Channel, s.Reason)
		}
		if err := c.show(t, s.ID); err != nil {
			return err
		}
	}
	return nil
}

// show prints one trace: as OTLP, or as a waterfall.
func (c *traceCmd) show(t *tool, id conversation.TraceID) error {
	var raw json.RawMessage
	if err := c.call(t, apiCall{method: "GET", path: "/v1/traces/" + id.String(), answer: &raw}); err != nil {
		return err
	}
	if c.JSON {
		_, err := fmt.Fprintf(t.stdout, "%s\n", raw)
		return err
	}
	rows, err := traces.ReadOTLP(raw)
	if err != nil {
		return err
	}
	return traces.WriteWaterfall(t.stdout, rows)
}
