/* SPDX-License-Identifier: MIT OR GPL-2.0-only */

/* What the observer needs of the kernel: a few helpers by their numbers, which
 * never change (include/uapi/linux/bpf.h), and of its structures the fields that
 * are read. The loader finds their places in the running kernel's own type
 * information, so no header of any kernel is needed to compile this. */

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*const map_delete)(void *map, const void *key) = (void *)3;
static u64 (*const current_pid_tgid)(void) = (void *)14;
static u64 (*const socket_cookie)(void *sk) = (void *)46;
static long (*const read_user)(void *to, u32 size, const void *from) = (void *)112;
static u64 (*const boot_ns)(void) = (void *)125;
static void *(*const ring_reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*const ring_submit)(void *data, u64 flags) = (void *)132;
static struct tcp_sock *(*const to_tcp_sock)(void *sk) = (void *)137;

#define SEC(name) __attribute__((section(name), used))
#define KERNEL __attribute__((preserve_access_index))

struct sock_common {
	u64 skc_hash;
} KERNEL;

struct tcp_sock {
	u32 srtt_us; /* eight times the smoothed round trip, in microseconds */
	u32 total_retrans;
	u32 data_segs_out;
} KERNEL;

/* The context of an iterator over the TCP sockets; fixed, so not relocated. */
struct tcp_iterator {
	void *meta;
	struct sock_common *sk;
};
