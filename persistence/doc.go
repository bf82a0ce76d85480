// Package persistence is the journal: it makes conversations durable and finds
// them again.
//
// Everything a node knows lies in one directory: the raft log and vote in files
// (package logfile), the snapshot mark and the state that the log makes in a Pebble
// database. A node without peers is a raft group of one voter, so that there is
// one write path and it is always the tested one:
//
//	Append -> queue -> raft entry (many appends) -> fsync -> state batch -> nil
//
// An append is answered with nil only when its raft entry was synced by a
// majority of the voters and applied here. The rows that it made stay in memory at
// first, in a buffer and then in the database, which has no write-ahead log. What a
// power cut takes of them is made again from the raft log, starting after the applied
// index that is one of the rows; the raft log is cut only behind what is on the disk.
//
// Stale owners are refused by the state machine: an append names the version
// it builds on and the epoch of its claim. See [ErrConflict] and [ErrFenced].
//
// Cost: see BenchmarkAppend. Units: times on disk are milliseconds UTC.
package persistence
