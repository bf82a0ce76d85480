/* SPDX-License-Identifier: MIT OR GPL-2.0-only */

/* The observer's part in the kernel. Three programs sit on the marks of package
 * telemetry/probe, one on the kernel's retransmissions, one walks all TCP
 * sockets. What they see they keep in maps; what is out of the ordinary they also
 * put into a ring. Package kernel has the same structures in Go, and a test that
 * compares the two. `make ebpf` compiles this. */

#include "bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL"; /* following the kernel's pointers is for GPL-compatible programs */

/* Settings. The loader fills them in before the kernel checks the programs, which
 * therefore sees constants. */
const volatile u32 arm64 = 0;
const volatile u64 slow_ns = 0;       /* 0 = never */
const volatile u64 flood_ns = 0;      /* the window */
const volatile u32 flood_turns = 0;   /* 0 = never */
const volatile u32 lossy_least = 0;   /* retransmissions; 0 = never */
const volatile u32 lossy_percent = 0; /* of the segments with data */
const volatile u32 far_us = 0;        /* 0 = never */

enum count { BEGUN, DONE, FAILED, DROPPED, UNMATCHED, JOINED, FULL, UNREADABLE, LOST, COUNTS };
u64 counts[COUNTS];

enum kind { SLOW = 1, FAILURE, FLOOD, LOSSY, FAR };

struct key {
	u64 hi, lo; /* the conversation */
	u32 pid, zero;
};

struct turn {
	u64 began; /* since boot, as all times here */
	u64 attempt;
};

struct talk {
	u64 last;    /* when its last turn ended */
	u64 longest; /* ns */
	u64 window;  /* when counting for a flood began */
	u32 in_window;
	u32 turns, failed, slow;
};

struct line {
	struct key key;
	u64 seen;
	u32 retransmits, segments, rtt_us;
	u32 told; /* retransmissions when it was last reported */
};

struct event {
	struct key key;
	u64 at;
	u64 value; /* SLOW, FAILURE: ns · FLOOD: turns · LOSSY: retransmissions · FAR: us */
	u32 kind;
	u32 of; /* LOSSY: segments */
};

#define MAP(name, map_type, key_type, value_type, size) \
	struct {                                        \
		int(*type)[map_type];                   \
		int(*max_entries)[size];                \
		key_type *key;                          \
		value_type *value;                      \
	} name SEC(".maps")

MAP(turns, BPF_MAP_TYPE_HASH, struct key, struct turn, 65536);
MAP(talks, BPF_MAP_TYPE_LRU_HASH, struct key, struct talk, 65536);
MAP(lines, BPF_MAP_TYPE_LRU_HASH, u64, struct line, 131072);

struct {
	int(*type)[BPF_MAP_TYPE_RINGBUF];
	int(*max_entries)[1 << 18];
} events SEC(".maps");

const struct event *in_the_ring; /* so that the object describes the type */

static void count(enum count what)
{
	__sync_fetch_and_add(&counts[what], 1);
}

static void tell(enum kind kind, const struct key *key, u64 value, u32 of)
{
	struct event *e = ring_reserve(&events, sizeof(*e), 0);
	if (!e) {
		count(LOST);
		return;
	}
	e->key = *key;
	e->at = boot_ns();
	e->value = value;
	e->kind = kind;
	e->of = of;
	ring_submit(e, 0);
}

/* Go's assembly ABI: the arguments lie above the return address (amd64) or the
 * saved link register (arm64). Written out, because a compiler may join the two
 * loads into one at a computed place, which the kernel refuses. */
static int arguments(void *ctx, u64 *args, u32 size)
{
	u64 sp;
	if (arm64)
		asm volatile("%0 = *(u64 *)(%1 + 248)" : "=r"(sp) : "r"(ctx));
	else
		asm volatile("%0 = *(u64 *)(%1 + 152)" : "=r"(sp) : "r"(ctx));
	if (!read_user(args, size, (void *)(sp + 8)))
		return 1;
	count(UNREADABLE);
	return 0;
}

static struct key key_of(const u64 *args)
{
	return (struct key){ .hi = args[0], .lo = args[1], .pid = current_pid_tgid() >> 32 };
}

static struct talk *talk_of(const struct key *key)
{
	struct talk *t = map_lookup(&talks, key);
	if (t)
		return t;
	struct talk none = {};
	map_update(&talks, key, &none, 0);
	return map_lookup(&talks, key);
}

SEC("uprobe/turn_begin")
int turn_begin(void *ctx)
{
	u64 args[3];
	if (!arguments(ctx, args, sizeof(args)))
		return 0;
	count(BEGUN);
	struct key key = key_of(args);
	struct turn turn = { .began = boot_ns(), .attempt = args[2] };
	if (map_update(&turns, &key, &turn, 0))
		count(FULL);
	struct talk *t = talk_of(&key);
	if (!t)
		return 0;
	t->turns++; /* of one conversation there is one turn at a time */
	if (!flood_turns)
		return 0;
	if (turn.began - t->window > flood_ns) {
		t->window = turn.began;
		t->in_window = 0;
	}
	if (++t->in_window == flood_turns)
		tell(FLOOD, &key, t->in_window, 0);
	return 0;
}

SEC("uprobe/turn_end")
int turn_end(void *ctx)
{
	u64 args[4];
	if (!arguments(ctx, args, sizeof(args)))
		return 0;
	count(args[3] == 0 ? DONE : args[3] == 1 ? FAILED : DROPPED);
	struct key key = key_of(args);
	struct turn *turn = map_lookup(&turns, &key);
	if (!turn || turn->attempt != args[2]) {
		count(UNMATCHED); /* it began before anybody looked on */
		return 0;
	}
	u64 now = boot_ns(), took = now - turn->began;
	map_delete(&turns, &key);
	int failed = args[3] == 1, slow = slow_ns && took >= slow_ns;
	struct talk *t = talk_of(&key);
	if (t) {
		t->last = now;
		t->failed += failed;
		t->slow += slow;
		if (took > t->longest)
			t->longest = took;
	}
	if (failed)
		tell(FAILURE, &key, took, 0);
	if (slow)
		tell(SLOW, &key, took, 0);
	return 0;
}

SEC("uprobe/conn_join")
int conn_join(void *ctx)
{
	u64 args[3];
	if (!arguments(ctx, args, sizeof(args)))
		return 0;
	count(JOINED);
	u64 cookie = args[2];
	struct key key = key_of(args);
	struct line *l = map_lookup(&lines, &cookie);
	if (l && l->key.hi == key.hi && l->key.lo == key.lo && l->key.pid == key.pid) {
		l->seen = boot_ns();
		return 0;
	}
	struct line line = { .key = key, .seen = boot_ns() };
	if (l) { /* the same socket in its next conversation */
		line.retransmits = l->retransmits;
		line.segments = l->segments;
		line.rtt_us = l->rtt_us;
		line.told = l->told;
	}
	map_update(&lines, &cookie, &line, 0);
	return 0;
}

/* measure copies the kernel's own figures of a socket whose conversation is known. */
static struct line *measure(void *sk)
{
	struct tcp_sock *tp = to_tcp_sock(sk);
	if (!tp)
		return 0;
	u64 cookie = socket_cookie(tp);
	struct line *l = map_lookup(&lines, &cookie);
	if (!l)
		return 0;
	l->retransmits = tp->total_retrans;
	l->segments = tp->data_segs_out;
	l->rtt_us = tp->srtt_us >> 3;
	return l;
}

SEC("tp_btf/tcp_retransmit_skb")
int retransmit(u64 *ctx)
{
	struct line *l = measure((void *)ctx[0]);
	if (!l || !lossy_least)
		return 0;
	u32 n = l->retransmits;
	if (n < lossy_least || n < 2 * l->told || (u64)n * 100 < (u64)l->segments * lossy_percent)
		return 0;
	l->told = n;
	tell(LOSSY, &l->key, n, l->segments);
	return 0;
}

SEC("iter/tcp")
int walk(struct tcp_iterator *ctx)
{
	struct sock_common *sk = ctx->sk;
	if (!sk)
		return 0;
	struct line *l = measure(sk);
	if (l && far_us && l->rtt_us >= far_us)
		tell(FAR, &l->key, l->rtt_us, 0);
	return 0;
}
