#!/usr/bin/env bash
# Three real nodes on loopback, to play with: kill one with `kill -9`, remove its
# folder, watch `colloquy cluster status`, talk on at another. Ctrl-C ends them.
#
#   deploy/cluster.sh [FOLDER]     the folder keeps their data, default cluster-data
set -euo pipefail

program=$(dirname "$0")/../bin/colloquy
folder=${1:-cluster-data}
mkdir -p "$folder"
[ -s "$folder/cluster.key" ] || (umask 077 && "$program" cluster key >"$folder/cluster.key")
export COLLOQUY_CLUSTER_KEY_FILE=$folder/cluster.key

pids=()
end() {
	trap - EXIT INT TERM
	kill "${pids[@]}" 2>/dev/null || true
	wait
}
trap end EXIT INT TERM

# start N FLAG… runs node N: API on 808N, operations on 909N, cluster on 79N0.
start() {
	local n=$1
	shift
	"$program" serve --data-dir "$folder/node$n" --listen "127.0.0.1:808$n" --ops-listen "127.0.0.1:909$n" \
		--cluster-listen "127.0.0.1:79${n}0" --set cluster.profile=fast --set gateway.trusted_proxies=127.0.0.1/32 --log-level warn "$@" \
		2> >(sed -u "s/^/node$n /" >&2) &
	pids+=($!)
}

# ready N waits until node N takes traffic.
ready() {
	local try
	for try in $(seq 120); do
		"$program" healthcheck --address "127.0.0.1:909$1" >/dev/null 2>&1 && return 0
		kill -0 "${pids[$1 - 1]}" 2>/dev/null || break
		sleep 0.5
	done
	echo "node $1 is not ready:" >&2
	"$program" healthcheck --address "127.0.0.1:909$1" >&2 || true
	return 1
}

# A new cluster is made by node 1; one that exists needs two of its nodes to be ready.
again=$([ -d "$folder/node2" ] && echo yes || true)
start 1 --demo
[ -n "$again" ] || ready 1
start 2 --join 127.0.0.1:7910
start 3 --join 127.0.0.1:7910
ready 1
ready 2
ready 3

cat >"$folder/haproxy.cfg" <<-'END'
	defaults
	    mode http
	    timeout connect 2s
	    timeout client 75s
	    timeout server 75s
	    timeout tunnel 75s
	frontend visitors
	    bind 127.0.0.1:8080
	    http-request set-header X-Forwarded-For %[src]
	    default_backend nodes
	backend nodes
	    balance leastconn
	    option httpchk GET /readyz
	    default-server check inter 500ms fall 1 rise 2
	    server node1 127.0.0.1:8081 port 9091
	    server node2 127.0.0.1:8082 port 9092
	    server node3 127.0.0.1:8083 port 9093
END
"$program" cluster status --node 127.0.0.1:7911 --set cluster.listen=127.0.0.1:7910
cat <<END

Three nodes are one service: http://127.0.0.1:8081, :8082 and :8083 (process ids ${pids[*]}).
  see them     $program cluster status --node 127.0.0.1:7911 --set cluster.listen=127.0.0.1:7910
               with COLLOQUY_CLUSTER_KEY_FILE=$folder/cluster.key
  lose one     kill -9 ${pids[1]} and remove $folder/node2; talk on at :8081 and :8083
  bring it     $program serve --data-dir $folder/node2 --listen 127.0.0.1:8082 --ops-listen 127.0.0.1:9092 \\
                 --cluster-listen 127.0.0.1:7920 --set cluster.profile=fast --join 127.0.0.1:7910,127.0.0.1:7930
               node 1 in the same way, by --join 127.0.0.1:7920
  balance      haproxy -f $folder/haproxy.cfg, then http://127.0.0.1:8080
END
wait
