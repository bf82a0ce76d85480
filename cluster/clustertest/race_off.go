//go:build !race

package clustertest

const fitting = Library
