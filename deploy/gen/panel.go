package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// board is a dashboard.
type board struct {
	name, title, about string
	panels             []panel
	sessions           bool // has the variable $conversation
}

// unit is what an axis counts, in Grafana's names.
type unit string

const (
	unitSeconds unit = "s"
	unitBytes   unit = "bytes"
	unitShare   unit = "percentunit"
	unitRate    unit = "ops"
	unitCount   unit = "short"
	unitYesNo   unit = "bool"
)

// shape is how a panel is drawn.
type shape int

const (
	lines shape = iota
	table       // the newest values, highest first
	heat        // a histogram over time
)

// panel is one picture. Width is in 24ths of the page; zero means 8.
type panel struct {
	title, about string
	unit         unit
	shape        shape
	width        int
	queries      []query
	status       bool // on the node's own page as well
}

// of is what is asked of a metric.
type of string

const (
	value    of = "value"    // of a gauge: its sum
	rate     of = "rate"     // of a counter or histogram: how many a second
	quantile of = "quantile" // of a histogram
	mean     of = "mean"     // of a histogram
	grown    of = "grown"    // of a histogram: its buckets over time
)

// query asks for one metric.
type query struct {
	of     of
	metric string
	where  map[string]string // labels and their values
	by     []string          // labels that make a series each
	q      float64           // of quantile
	top    int               // only the highest
	legend string            // empty = the labels
}

// promQL gives the query as Prometheus takes it, for the nodes that are chosen.
func (x query) promQL() string {
	const window = "[$__rate_interval]"
	by := ""
	if len(x.by) > 0 {
		by = " by (" + strings.Join(x.by, ", ") + ")"
	}
	var out string
	switch x.of {
	case value:
		out = fmt.Sprintf("sum%s (%s)", by, x.selector(x.metric))
	case rate:
		out = fmt.Sprintf("sum%s (rate(%s%s))", by, x.selector(x.metric), window)
	case mean:
		out = fmt.Sprintf("sum%s (rate(%s%s)) / sum%s (rate(%s%s))", by, x.selector(x.metric+"_sum"), window, by, x.selector(x.metric+"_count"), window)
	case quantile:
		le := strings.Join(append([]string{"le"}, x.by...), ", ")
		out = fmt.Sprintf("histogram_quantile(%g, sum by (%s) (rate(%s%s)))", x.q, le, x.selector(x.metric+"_bucket"), window)
	case grown:
		out = fmt.Sprintf("sum by (le) (increase(%s%s))", x.selector(x.metric+"_bucket"), window)
	}
	if x.top > 0 {
		out = fmt.Sprintf("topk(%d, %s)", x.top, out)
	}
	return out
}

func (x query) selector(metric string) string {
	parts := []string{`instance=~"$instance"`}
	for _, k := range slices.Sorted(maps.Keys(x.where)) {
		op := "="
		if strings.HasPrefix(x.where[k], "$") {
			op = "=~"
		}
		parts = append(parts, fmt.Sprintf("%s%s%q", k, op, x.where[k]))
	}
	return metric + "{" + strings.Join(parts, ", ") + "}"
}

// name is what the series of a query are called.
func (x query) name() string {
	labels := make([]string, len(x.by))
	for i, l := range x.by {
		labels[i] = "{{" + l + "}}"
	}
	if x.legend != "" {
		labels = append([]string{x.legend}, labels...)
	}
	return cmp.Or(strings.Join(labels, " "), x.metric)
}

// The queries that most panels are made of.

func rateOf(metric string, by ...string) query { return query{of: rate, metric: metric, by: by} }

func valueOf(metric string, by ...string) query { return query{of: value, metric: metric, by: by} }

// named gives a query a name, for panels with several.
func (x query) named(legend string) query {
	x.legend = legend
	return x
}

// only asks for one value of a label.
func (x query) only(label, value string) query {
	w := map[string]string{label: value}
	maps.Copy(w, x.where)
	x.where = w
	return x
}

// quantiles asks a histogram for its median and what few are above.
func quantiles(metric string, by ...string) []query {
	var out []query
	for _, q := range []float64{0.5, 0.95, 0.99} {
		out = append(out, query{of: quantile, metric: metric, q: q, by: by, legend: fmt.Sprintf("p%g", 100*q)})
	}
	return out
}

// p99 asks only for the last of them.
func p99(metric string, by ...string) query {
	return query{of: quantile, metric: metric, q: 0.99, by: by, legend: "p99"}
}
