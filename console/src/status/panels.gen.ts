// Made by go run ./deploy/gen from deploy/gen/boards*.go; change those instead.

/** Query asks for one metric of the node. */
export interface Query {
  of: "value" | "rate" | "quantile" | "mean";
  metric: string;
  /** Labels and the values they have to have. */
  where?: Readonly<Record<string, string>>;
  /** Labels that make a series each. */
  by?: readonly string[];
  q?: number;
  legend?: string;
}

/** Panel is one picture. */
export interface Panel {
  board: string;
  title: string;
  about: string;
  unit: "s" | "bytes" | "percentunit" | "ops" | "short";
  queries: readonly Query[];
}

/** panels are those that make sense of one node alone. */
export const panels: readonly Panel[] = [
  {
    "board": "overview",
    "title": "Messages",
    "about": "Visitor messages made durable, by channel.",
    "unit": "ops",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_messages_accepted_total",
        "by": [
          "channel"
        ]
      }
    ]
  },
  {
    "board": "overview",
    "title": "Turns",
    "about": "Turns of the bot, by what they came to.",
    "unit": "ops",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_turn_duration_seconds_count",
        "by": [
          "outcome"
        ]
      }
    ]
  },
  {
    "board": "overview",
    "title": "How long a turn takes",
    "about": "From a visitor's message reaching its conversation to the bot's part being durable.",
    "unit": "s",
    "queries": [
      {
        "of": "quantile",
        "metric": "colloquy_turn_duration_seconds",
        "q": 0.5,
        "legend": "p50"
      },
      {
        "of": "quantile",
        "metric": "colloquy_turn_duration_seconds",
        "q": 0.95,
        "legend": "p95"
      },
      {
        "of": "quantile",
        "metric": "colloquy_turn_duration_seconds",
        "q": 0.99,
        "legend": "p99"
      }
    ]
  },
  {
    "board": "overview",
    "title": "Acknowledgment",
    "about": "From a message frame to its ack, which means that it is on the disk.",
    "unit": "s",
    "queries": [
      {
        "of": "quantile",
        "metric": "colloquy_gateway_ack_duration_seconds",
        "q": 0.5,
        "legend": "p50"
      },
      {
        "of": "quantile",
        "metric": "colloquy_gateway_ack_duration_seconds",
        "q": 0.95,
        "legend": "p95"
      },
      {
        "of": "quantile",
        "metric": "colloquy_gateway_ack_duration_seconds",
        "q": 0.99,
        "legend": "p99"
      }
    ]
  },
  {
    "board": "overview",
    "title": "Connections",
    "about": "WebSocket connections that are open, by role.",
    "unit": "short",
    "queries": [
      {
        "of": "value",
        "metric": "colloquy_gateway_connections",
        "by": [
          "role"
        ]
      }
    ]
  },
  {
    "board": "overview",
    "title": "Handovers",
    "about": "Conversations given to humans, by reason.",
    "unit": "ops",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_handovers_total",
        "by": [
          "reason"
        ]
      }
    ]
  },
  {
    "board": "overview",
    "title": "Waiting for an agent",
    "about": "Conversations in the queue of each inbox, and the agents online for it.",
    "unit": "short",
    "queries": [
      {
        "of": "value",
        "metric": "colloquy_queue_waiting",
        "by": [
          "inbox"
        ],
        "legend": "waiting"
      },
      {
        "of": "value",
        "metric": "colloquy_queue_agents_online",
        "by": [
          "inbox"
        ],
        "legend": "agents"
      }
    ]
  },
  {
    "board": "overview",
    "title": "Conversations unlike the others",
    "about": "Those of which that was found in the last ten minutes and is not over.",
    "unit": "short",
    "queries": [
      {
        "of": "value",
        "metric": "colloquy_conversations_anomalous",
        "by": [
          "kind"
        ]
      }
    ]
  },
  {
    "board": "overview",
    "title": "Moods",
    "about": "Visitors who became angry, or calm again.",
    "unit": "ops",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_mood_changes_total",
        "by": [
          "to"
        ]
      }
    ]
  },
  {
    "board": "overview",
    "title": "Understanding",
    "about": "Utterances classified, by what the confidence allows.",
    "unit": "ops",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_intent_predictions_total",
        "by": [
          "outcome"
        ]
      }
    ]
  },
  {
    "board": "overview",
    "title": "Appends",
    "about": "From the call of an append until it is durable and applied.",
    "unit": "s",
    "queries": [
      {
        "of": "quantile",
        "metric": "colloquy_journal_append_duration_seconds",
        "q": 0.5,
        "legend": "p50"
      },
      {
        "of": "quantile",
        "metric": "colloquy_journal_append_duration_seconds",
        "q": 0.95,
        "legend": "p95"
      },
      {
        "of": "quantile",
        "metric": "colloquy_journal_append_duration_seconds",
        "q": 0.99,
        "legend": "p99"
      }
    ]
  },
  {
    "board": "overview",
    "title": "Fsync",
    "about": "99th percentile of the recent syncs of the raft log.",
    "unit": "s",
    "queries": [
      {
        "of": "value",
        "metric": "colloquy_journal_fsync_p99_seconds",
        "legend": "p99"
      }
    ]
  },
  {
    "board": "overview",
    "title": "Failures",
    "about": "What was refused, dropped or set aside. All of it should be zero.",
    "unit": "ops",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_append_failures_total",
        "by": [
          "class"
        ],
        "legend": "append"
      },
      {
        "of": "rate",
        "metric": "colloquy_journal_queue_refused_total",
        "legend": "journal full"
      },
      {
        "of": "rate",
        "metric": "colloquy_grain_overloads_total",
        "legend": "mailbox full"
      },
      {
        "of": "rate",
        "metric": "colloquy_intent_queue_full_total",
        "legend": "scoring full"
      },
      {
        "of": "rate",
        "metric": "colloquy_actor_parked_messages_total",
        "legend": "parked"
      },
      {
        "of": "rate",
        "metric": "colloquy_gateway_panics_total",
        "legend": "panics"
      }
    ]
  },
  {
    "board": "overview",
    "title": "Processor",
    "about": "Cores in use, and the garbage collector's part.",
    "unit": "short",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_runtime_cpu_seconds_total",
        "by": [
          "class"
        ]
      }
    ]
  },
  {
    "board": "overview",
    "title": "Memory",
    "about": "Of the process, and Go's heap in use.",
    "unit": "bytes",
    "queries": [
      {
        "of": "value",
        "metric": "process_resident_memory_bytes",
        "legend": "resident"
      },
      {
        "of": "value",
        "metric": "go_memstats_heap_inuse_bytes",
        "legend": "heap"
      }
    ]
  },
  {
    "board": "sessions",
    "title": "Processor time of a turn, by channel",
    "about": "99th percentile.",
    "unit": "s",
    "queries": [
      {
        "of": "quantile",
        "metric": "colloquy_turn_cpu_seconds",
        "by": [
          "channel"
        ],
        "q": 0.99,
        "legend": "p99"
      }
    ]
  },
  {
    "board": "sessions",
    "title": "Conversations unlike the others, found",
    "about": "By kind; docs/anomalies.md says what they mean.",
    "unit": "ops",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_anomalies_total",
        "by": [
          "kind"
        ]
      }
    ]
  },
  {
    "board": "sessions",
    "title": "All conversations",
    "about": "Cores that conversations use, and the whole process.",
    "unit": "short",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_conversations_cpu_seconds_total",
        "legend": "conversations"
      },
      {
        "of": "rate",
        "metric": "colloquy_runtime_cpu_seconds_total",
        "where": {
          "class": "process"
        },
        "legend": "process"
      }
    ]
  },
  {
    "board": "sessions",
    "title": "Charged to conversations",
    "about": "Share of the process's processor time, without the garbage collector's.",
    "unit": "percentunit",
    "queries": [
      {
        "of": "value",
        "metric": "colloquy_cpu_attributed_ratio"
      }
    ]
  },
  {
    "board": "sessions",
    "title": "Active conversations",
    "about": "That are, or just were, active on a node.",
    "unit": "short",
    "queries": [
      {
        "of": "value",
        "metric": "colloquy_sessions",
        "legend": "active"
      },
      {
        "of": "value",
        "metric": "colloquy_grains_active",
        "by": [
          "kind"
        ],
        "legend": "in memory"
      }
    ]
  },
  {
    "board": "cluster",
    "title": "Members",
    "about": "Of the cluster, in each node's view.",
    "unit": "short",
    "queries": [
      {
        "of": "value",
        "metric": "colloquy_cluster_members",
        "by": [
          "state"
        ]
      }
    ]
  },
  {
    "board": "cluster",
    "title": "Voters",
    "about": "Of the journal, and those that answer, as the leader sees them.",
    "unit": "short",
    "queries": [
      {
        "of": "value",
        "metric": "colloquy_journal_voters",
        "legend": "voters"
      },
      {
        "of": "value",
        "metric": "colloquy_journal_voters_live",
        "legend": "live"
      }
    ]
  },
  {
    "board": "cluster",
    "title": "Behind the leader",
    "about": "Raft entries that a node has not applied.",
    "unit": "short",
    "queries": [
      {
        "of": "value",
        "metric": "colloquy_journal_lag_entries"
      }
    ]
  },
  {
    "board": "cluster",
    "title": "Appends",
    "about": "By outcome.",
    "unit": "ops",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_journal_appends_total",
        "by": [
          "outcome"
        ]
      }
    ]
  },
  {
    "board": "cluster",
    "title": "Disk",
    "about": "Of the journal.",
    "unit": "bytes",
    "queries": [
      {
        "of": "value",
        "metric": "colloquy_journal_disk_used_bytes",
        "legend": "used"
      },
      {
        "of": "value",
        "metric": "colloquy_journal_disk_free_bytes",
        "legend": "free"
      }
    ]
  },
  {
    "board": "cluster",
    "title": "Grains that start and rest",
    "about": "Started, put to rest when idle, rebuilt after a panic.",
    "unit": "ops",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_grain_activations_total",
        "by": [
          "kind"
        ],
        "legend": "started"
      },
      {
        "of": "rate",
        "metric": "colloquy_grain_passivations_total",
        "by": [
          "kind"
        ],
        "legend": "rested"
      },
      {
        "of": "rate",
        "metric": "colloquy_actor_restarts_total",
        "by": [
          "kind"
        ],
        "legend": "rebuilt"
      }
    ]
  },
  {
    "board": "channels",
    "title": "Deliveries",
    "about": "That providers made, by channel.",
    "unit": "ops",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_channel_deliveries_total",
        "by": [
          "channel"
        ]
      }
    ]
  },
  {
    "board": "channels",
    "title": "Rejected deliveries",
    "about": "That were not acknowledged, by reason.",
    "unit": "ops",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_channel_deliveries_rejected_total",
        "by": [
          "channel",
          "reason"
        ]
      }
    ]
  },
  {
    "board": "channels",
    "title": "How long a provider waits",
    "about": "From the arrival of a delivery to its answer; 99th percentile.",
    "unit": "s",
    "queries": [
      {
        "of": "quantile",
        "metric": "colloquy_channel_ack_duration_seconds",
        "by": [
          "channel"
        ],
        "q": 0.99,
        "legend": "p99"
      }
    ]
  },
  {
    "board": "channels",
    "title": "Sends",
    "about": "Calls to providers that carry a message, or a part of one.",
    "unit": "ops",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_channel_sends_total",
        "by": [
          "channel"
        ]
      }
    ]
  },
  {
    "board": "channels",
    "title": "Send errors",
    "about": "By class. Sends that were held back before any call count too.",
    "unit": "ops",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_channel_send_errors_total",
        "by": [
          "channel",
          "class"
        ]
      }
    ]
  },
  {
    "board": "channels",
    "title": "How long a send takes",
    "about": "99th percentile of a provider's call.",
    "unit": "s",
    "queries": [
      {
        "of": "quantile",
        "metric": "colloquy_channel_send_duration_seconds",
        "by": [
          "channel"
        ],
        "q": 0.99,
        "legend": "p99"
      }
    ]
  },
  {
    "board": "channels",
    "title": "Paused accounts",
    "about": "That do not send because their provider keeps failing.",
    "unit": "short",
    "queries": [
      {
        "of": "value",
        "metric": "colloquy_channel_accounts_paused",
        "by": [
          "channel"
        ]
      }
    ]
  },
  {
    "board": "channels",
    "title": "Outbox",
    "about": "Outbound messages that the courier has in hand.",
    "unit": "short",
    "queries": [
      {
        "of": "value",
        "metric": "colloquy_outbox_rows",
        "legend": "rows"
      }
    ]
  },
  {
    "board": "channels",
    "title": "What became of outbound messages",
    "about": "By outcome; retry counts each failed try.",
    "unit": "ops",
    "queries": [
      {
        "of": "rate",
        "metric": "colloquy_deliveries_total",
        "by": [
          "result"
        ]
      }
    ]
  }
];
