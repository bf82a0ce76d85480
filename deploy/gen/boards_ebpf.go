package main

// ebpf shows what colloquy-ebpf sees of a node from outside. Its series have the
// instance of the observer, not of the node.
func ebpf() board {
	return board{name: "ebpf", title: "Colloquy: seen by the kernel", about: "What colloquy-ebpf sees of the nodes from outside, also of one that hangs.", panels: []panel{
		{
			title: "Turns", about: "Of the bot, that were seen to begin and to end.", unit: unitRate,
			queries: []query{rateOf("colloquy_ebpf_turns_begun_total").named("begun"), rateOf("colloquy_ebpf_turns_ended_total").named("ended")},
		},
		{
			title: "Open turns", about: "That have begun and not ended, and those of them that are older than they should be.", unit: unitCount,
			queries: []query{valueOf("colloquy_ebpf_turns_open").named("open"), valueOf("colloquy_ebpf_turns_stuck").named("stuck")},
		},
		{
			title: "Findings", about: "Conversations in trouble, by kind.", unit: unitRate,
			queries: []query{rateOf("colloquy_ebpf_anomalies_total", "kind")},
		},
		{
			title: "Watches", about: "Requests to nodes to watch a conversation, by result.", unit: unitRate,
			queries: []query{rateOf("colloquy_ebpf_watches_total", "result")},
		},
		{
			title: "Connections", about: "Of visitors, seen to join a conversation or to write in it.", unit: unitRate,
			queries: []query{rateOf("colloquy_ebpf_connections_seen_total").named("seen")},
		},
		{
			title: "Attached", about: "1 while an observer is attached to its program.", unit: unitYesNo,
			queries: []query{valueOf("colloquy_ebpf_attached", "instance")},
		},
		{
			title: "Not seen", about: "By reason. Should be zero.", unit: unitRate,
			queries: []query{rateOf("colloquy_ebpf_missed_total", "reason")},
		},
	}}
}
