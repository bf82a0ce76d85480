package main

func cluster() board {
	return board{name: "cluster", title: "Colloquy: cluster", about: "Members, the journal that they share, and where conversations live.", panels: []panel{
		{
			title: "Members", about: "Of the cluster, in each node's view.", unit: unitCount, status: true,
			queries: []query{valueOf("colloquy_cluster_members", "instance", "state")},
		},
		{
			title: "Voters", about: "Of the journal, and those that answer, as the leader sees them.", unit: unitCount, status: true,
			queries: []query{valueOf("colloquy_journal_voters", "instance").named("voters"), valueOf("colloquy_journal_voters_live", "instance").named("live")},
		},
		{
			title: "Views, votes and evictions", about: "Changes of the cluster. A quiet one has none.", unit: unitRate,
			queries: []query{
				rateOf("colloquy_cluster_view_changes_total").named("views"), rateOf("colloquy_cluster_votes_total").named("votes"),
				rateOf("colloquy_cluster_evictions_total", "reason").named("out:"), rateOf("colloquy_journal_leader_changes_total").named("leader"),
			},
		},
		{
			title: "Behind the leader", about: "Raft entries that a node has not applied.", unit: unitCount, status: true,
			queries: []query{valueOf("colloquy_journal_lag_entries", "instance")},
		},
		{
			title: "Not yet everywhere", about: "Bytes of the raft log that some voter does not have.", unit: unitBytes,
			queries: []query{valueOf("colloquy_journal_under_replicated_bytes", "instance")},
		},
		{
			title: "Appends", about: "By outcome.", unit: unitRate, status: true,
			queries: []query{rateOf("colloquy_journal_appends_total", "outcome")},
		},
		{
			title: "How many writes share an entry", about: "Operations packed into one raft entry, on average.", unit: unitCount,
			queries: []query{{of: mean, metric: "colloquy_journal_entry_operations", legend: "mean"}},
		},
		{
			title: "Entries on the way", about: "Writes that wait to be packed, and raft entries that went to or came from another node.", unit: unitCount,
			queries: []query{
				valueOf("colloquy_journal_queue_waiting").named("waiting"), rateOf("colloquy_journal_proposals_forwarded_total").named("forwarded"),
				rateOf("colloquy_journal_proposals_received_total").named("received"),
			},
		},
		{
			title: "Fsync", about: "99th percentile of the recent syncs of each node.", unit: unitSeconds,
			queries: []query{valueOf("colloquy_journal_fsync_p99_seconds", "instance")},
		},
		{
			title: "Disk", about: "Of the journal.", unit: unitBytes, status: true,
			queries: []query{valueOf("colloquy_journal_disk_used_bytes", "instance").named("used"), valueOf("colloquy_journal_disk_free_bytes", "instance").named("free")},
		},
		{
			title: "Grains", about: "In memory on each node, by kind.", unit: unitCount,
			queries: []query{valueOf("colloquy_grains_active", "instance", "kind")},
		},
		{
			title: "Grains that start and rest", about: "Started, put to rest when idle, rebuilt after a panic.", unit: unitRate, status: true,
			queries: []query{
				rateOf("colloquy_grain_activations_total", "kind").named("started"), rateOf("colloquy_grain_passivations_total", "kind").named("rested"),
				rateOf("colloquy_actor_restarts_total", "kind").named("rebuilt"),
			},
		},
		{
			title: "Requests between nodes", about: "Sent again, by reason, and sent back because the grain is not there.", unit: unitRate,
			queries: []query{rateOf("colloquy_grain_retries_total", "reason").named("again:"), rateOf("colloquy_grain_nacks_total").named("not here")},
		},
		{
			title: "Failures between nodes", about: "On links and between gates.", unit: unitRate,
			queries: []query{rateOf("colloquy_cluster_link_errors_total", "kind").named("link:"), rateOf("colloquy_cluster_remote_errors_total", "kind").named("gate:")},
		},
		{
			title: "Answers ahead of this node's copy", about: "Given while the node's copy of the journal did not show them yet.", unit: unitRate,
			queries: []query{rateOf("colloquy_reads_behind_total", "instance")},
		},
	}}
}

func channels() board {
	return board{name: "channels", title: "Colloquy: channels", about: "What comes from providers and goes to them.", panels: []panel{
		{
			title: "Deliveries", about: "That providers made, by channel.", unit: unitRate, status: true,
			queries: []query{rateOf("colloquy_channel_deliveries_total", "channel")},
		},
		{
			title: "Rejected deliveries", about: "That were not acknowledged, by reason.", unit: unitRate, status: true,
			queries: []query{rateOf("colloquy_channel_deliveries_rejected_total", "channel", "reason")},
		},
		{
			title: "Events", about: "In deliveries, by what became of them.", unit: unitRate,
			queries: []query{rateOf("colloquy_channel_events_total", "channel", "outcome")},
		},
		{
			title: "How long a provider waits", about: "From the arrival of a delivery to its answer; 99th percentile.", unit: unitSeconds, status: true,
			queries: []query{p99("colloquy_channel_ack_duration_seconds", "channel")},
		},
		{
			title: "Sends", about: "Calls to providers that carry a message, or a part of one.", unit: unitRate, status: true,
			queries: []query{rateOf("colloquy_channel_sends_total", "channel")},
		},
		{
			title: "Send errors", about: "By class. Sends that were held back before any call count too.", unit: unitRate, status: true,
			queries: []query{rateOf("colloquy_channel_send_errors_total", "channel", "class")},
		},
		{
			title: "How long a send takes", about: "99th percentile of a provider's call.", unit: unitSeconds, status: true,
			queries: []query{p99("colloquy_channel_send_duration_seconds", "channel")},
		},
		{
			title: "Sends in flight", about: "Provider calls that are running.", unit: unitCount,
			queries: []query{valueOf("colloquy_channel_sends_in_flight", "channel")},
		},
		{
			title: "Paused accounts", about: "That do not send because their provider keeps failing.", unit: unitCount, status: true,
			queries: []query{valueOf("colloquy_channel_accounts_paused", "channel")},
		},
		{
			title: "Outbox", about: "Outbound messages that the courier has in hand.", unit: unitCount, status: true,
			queries: []query{valueOf("colloquy_outbox_rows").named("rows")},
		},
		{
			title: "What became of outbound messages", about: "By outcome; retry counts each failed try.", unit: unitRate, status: true,
			queries: []query{rateOf("colloquy_deliveries_total", "result")},
		},
		{
			title: "Webhook", about: "Messages that came in by the webhook, by outcome.", unit: unitRate,
			queries: []query{rateOf("colloquy_gateway_webhook_messages_total", "outcome")},
		},
		{
			title: "Repeated deliveries", about: "Answered with the first receipt.", unit: unitRate,
			queries: []query{rateOf("colloquy_messages_duplicate_total").named("repeated")},
		},
		{
			title: "Sockets closed by this side", about: "By close code.", unit: unitRate,
			queries: []query{rateOf("colloquy_gateway_closes_total", "code")},
		},
		{
			title: "HTTP requests", about: "By class of status.", unit: unitRate,
			queries: []query{rateOf("colloquy_gateway_requests_total", "status")},
		},
	}}
}
