//go:build race

package clustertest

const fitting = Memory
