// Package dashboards tests what is in deploy/ for Prometheus and Grafana: that
// every query parses and asks for metrics and labels that there are, and, with
// make dashboards, that a real Prometheus which scrapes a real node under load
// has an answer to each of them.
//
// It is a module of its own, because the parser of PromQL brings half of
// Prometheus along.
package dashboards
