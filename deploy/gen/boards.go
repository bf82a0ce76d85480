package main

// boards lists all dashboards.
func boards() []board {
	return []board{overview(), sessions(), cluster(), channels(), ebpf()}
}

func overview() board {
	return board{name: "overview", title: "Colloquy: overview", about: "Is it well, and what is it busy with?", panels: []panel{
		{
			title: "Messages", about: "Visitor messages made durable, by channel.", unit: unitRate, status: true,
			queries: []query{rateOf("colloquy_messages_accepted_total", "channel")},
		},
		{
			title: "Turns", about: "Turns of the bot, by what they came to.", unit: unitRate, status: true,
			queries: []query{rateOf("colloquy_turn_duration_seconds_count", "outcome")},
		},
		{
			title: "How long a turn takes", about: "From a visitor's message reaching its conversation to the bot's part being durable.", unit: unitSeconds, status: true,
			queries: quantiles("colloquy_turn_duration_seconds"),
		},
		{
			title: "Acknowledgment", about: "From a message frame to its ack, which means that it is on the disk.", unit: unitSeconds, status: true,
			queries: quantiles("colloquy_gateway_ack_duration_seconds"),
		},
		{
			title: "Connections", about: "WebSocket connections that are open, by role.", unit: unitCount, status: true,
			queries: []query{valueOf("colloquy_gateway_connections", "role")},
		},
		{
			title: "Handovers", about: "Conversations given to humans, by reason.", unit: unitRate, status: true,
			queries: []query{rateOf("colloquy_handovers_total", "reason")},
		},
		{
			title: "Waiting for an agent", about: "Conversations in the queue of each inbox, and the agents online for it.", unit: unitCount, status: true,
			queries: []query{valueOf("colloquy_queue_waiting", "inbox").named("waiting"), valueOf("colloquy_queue_agents_online", "inbox").named("agents")},
		},
		{
			title: "Conversations unlike the others", about: "Those of which that was found in the last ten minutes and is not over.", unit: unitCount, status: true,
			queries: []query{valueOf("colloquy_conversations_anomalous", "kind")},
		},
		{
			title: "Moods", about: "Visitors who became angry, or calm again.", unit: unitRate, status: true,
			queries: []query{rateOf("colloquy_mood_changes_total", "to")},
		},
		{
			title: "Understanding", about: "Utterances classified, by what the confidence allows.", unit: unitRate, status: true,
			queries: []query{rateOf("colloquy_intent_predictions_total", "outcome")},
		},
		{
			title: "Appends", about: "From the call of an append until it is durable and applied.", unit: unitSeconds, status: true,
			queries: quantiles("colloquy_journal_append_duration_seconds"),
		},
		{
			title: "Fsync", about: "99th percentile of the recent syncs of the raft log.", unit: unitSeconds, status: true,
			queries: []query{valueOf("colloquy_journal_fsync_p99_seconds").named("p99")},
		},
		{
			title: "Failures", about: "What was refused, dropped or set aside. All of it should be zero.", unit: unitRate, status: true,
			queries: []query{
				rateOf("colloquy_append_failures_total", "class").named("append"), rateOf("colloquy_journal_queue_refused_total").named("journal full"),
				rateOf("colloquy_grain_overloads_total").named("mailbox full"), rateOf("colloquy_intent_queue_full_total").named("scoring full"),
				rateOf("colloquy_actor_parked_messages_total").named("parked"), rateOf("colloquy_gateway_panics_total").named("panics"),
			},
		},
		{
			title: "Processor", about: "Cores in use, and the garbage collector's part.", unit: unitCount, status: true,
			queries: []query{rateOf("colloquy_runtime_cpu_seconds_total", "class")},
		},
		{
			title: "Memory", about: "Of the process, and Go's heap in use.", unit: unitBytes, status: true,
			queries: []query{valueOf("process_resident_memory_bytes").named("resident"), valueOf("go_memstats_heap_inuse_bytes").named("heap")},
		},
	}}
}

func sessions() board {
	one := query{of: rate, metric: "colloquy_session_cpu_seconds_total", where: map[string]string{"conversation": "$conversation"}, by: []string{"conversation", "channel"}}
	top := one
	top.where, top.top = nil, 20
	return board{name: "sessions", title: "Colloquy: sessions", about: "What every conversation costs, and which are unlike the others.", sessions: true, panels: []panel{
		{
			title: "Conversations that cost most", about: "Processor time in a second, of the conversations with a series of their own: those that cost most of late, and those that are watched.",
			unit: unitSeconds, shape: table, width: 12, queries: []query{top},
		},
		{title: "Chosen conversations", about: "Processor time in a second, of the conversations chosen above.", unit: unitSeconds, width: 12, queries: []query{one}},
		{
			title: "Processor time of turns", about: "How many turns took how much processor time. The points are turns with a trace.", unit: unitSeconds, shape: heat, width: 12,
			queries: []query{{of: grown, metric: "colloquy_turn_cpu_seconds", legend: "{{le}}"}},
		},
		{
			title: "Processor time of a turn, by channel", about: "99th percentile.", unit: unitSeconds, width: 12, status: true,
			queries: []query{p99("colloquy_turn_cpu_seconds", "channel")},
		},
		{
			title: "Conversations unlike the others, found", about: "By kind; docs/anomalies.md says what they mean.", unit: unitRate, status: true,
			queries: []query{rateOf("colloquy_anomalies_total", "kind")},
		},
		{
			title: "The same, by channel", about: "Where they are found.", unit: unitRate,
			queries: []query{rateOf("colloquy_anomalies_total", "channel")},
		},
		{
			title: "Too many to tell", about: "Found on a node that has too many of a kind at once: it is the node that has something.", unit: unitRate,
			queries: []query{rateOf("colloquy_anomalies_suppressed_total", "kind")},
		},
		{
			title: "All conversations", about: "Cores that conversations use, and the whole process.", unit: unitCount, status: true,
			queries: []query{
				rateOf("colloquy_conversations_cpu_seconds_total").named("conversations"),
				rateOf("colloquy_runtime_cpu_seconds_total").only("class", "process").named("process"),
			},
		},
		{
			title: "Charged to conversations", about: "Share of the process's processor time, without the garbage collector's.", unit: unitShare, status: true,
			queries: []query{valueOf("colloquy_cpu_attributed_ratio", "instance")},
		},
		{
			title: "Active conversations", about: "That are, or just were, active on a node.", unit: unitCount, status: true,
			queries: []query{valueOf("colloquy_sessions").named("active"), valueOf("colloquy_grains_active", "kind").named("in memory")},
		},
		{
			title: "Measured in wall time", about: "Stretches of work, because too many were open at once. Should be zero.", unit: unitRate,
			queries: []query{rateOf("colloquy_cpu_approximate_segments_total").named("approximate")},
		},
		{
			title: "Dropped answers", about: "Of the bot, because the conversation had moved on.", unit: unitRate,
			queries: []query{rateOf("colloquy_turns_stale_total").named("stale")},
		},
	}}
}
