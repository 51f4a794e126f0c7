#!/bin/bash
# Measures this server, the real redis-server and the echo server (echo.rs) side by side, and prints ratios.
# Needs redis-server, redis-benchmark and redis-cli (Debian: redis-server, redis-tools).
#
#   tests/bench/run.sh            every row
#   tests/bench/run.sh speed      only throughput; also: light, streams, memory, growth, expiry, replication, idle
#   ROUNDS=5 tests/bench/run.sh speed
#
# A row's figures come from rounds in which the servers take turns, so that a noisy moment hits all of them;
# the median round counts. Only the ratios of one run mean anything.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
what=${1:-all}
ROUNDS=${ROUNDS:-3}
work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT

cargo build --quiet --release --manifest-path "$root/Cargo.toml" --target-dir "$root/target"
cargo build --quiet --release --examples --manifest-path "$root/Cargo.toml" --target-dir "$root/target"

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start NAME COMMAND...: starts a server and waits until its port answers.
start() {
    local name=$1 port=$2
    shift 2
    (cd "$work" && exec "$@" >"$work/$name.log" 2>&1) &
    pids+=($!)
    for _ in $(seq 100); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
        sleep 0.05
    done
    echo "$name did not start:" >&2
    cat "$work/$name.log" >&2
    exit 1
}

ours=$(free_port) real=$(free_port) echo=$(free_port)
start ours "$ours" "$root/target/release/redis-clone" --port "$ours"
ours_pid=${pids[-1]}
start real "$real" redis-server --port "$real" --save '' --appendonly no
real_pid=${pids[-1]}
start echo "$echo" "$root/target/release/examples/echo" "$echo"

# rps PORT CLIENTS PIPELINE REQUESTS COMMAND...: requests per second of one measurement.
rps() {
    local port=$1 clients=$2 pipeline=$3 requests=$4
    shift 4
    redis-benchmark -p "$port" -c "$clients" -P "$pipeline" -n "$requests" -r "${RANGE:-100000}" --csv "$@" 2>/dev/null |
        tail -1 | sed 's/^"[^"]*","\([^"]*\)".*/\1/'
}

median() { sort -n | sed -n "$((ROUNDS / 2 + 1))p"; }

# row LABEL CLIENTS PIPELINE REQUESTS COMMAND...: one line of the table.
row() {
    local label=$1 clients=$2 pipeline=$3 requests=$4
    shift 4
    : >"$work/o" && : >"$work/r" && : >"$work/e"
    for _ in $(seq "$ROUNDS"); do
        rps "$ours" "$clients" "$pipeline" "$requests" "$@" >>"$work/o"
        rps "$real" "$clients" "$pipeline" "$requests" "$@" >>"$work/r"
        rps "$echo" "$clients" "$pipeline" "$requests" "$@" >>"$work/e"
    done
    awk -v l="$label" -v c="$clients" -v p="$pipeline" \
        -v o="$(median <"$work/o")" -v r="$(median <"$work/r")" -v e="$(median <"$work/e")" \
        'BEGIN { printf "| %-16s | %3d x %-3d | %8.0f | %8.0f | %8.0f | %5.2f | %5.2f |\n", l, c, p, o, r, e, o / r, o / e }'
}

fill_streams() {
    for port in "$ours" "$real"; do
        redis-cli -p "$port" flushall >/dev/null
        redis-benchmark -p "$port" -c 20 -P 100 -n 100000 -q XADD events '*' sensor 17 reading 23.5 >/dev/null
    done
}

speed() {
    echo "| command         | clients x pipeline | ours | redis | echo | ours/redis | ours/echo |"
    echo "|---|---|---|---|---|---|---|"
    local load c p n
    for load in "1 1 30000" "4 1 80000" "50 1 150000" "50 16 800000" "20 256 2000000"; do
        read -r c p n <<<"$load"
        redis-cli -p "$ours" flushall >/dev/null && redis-cli -p "$real" flushall >/dev/null
        row PING "$c" "$p" "$n" PING
        row SET "$c" "$p" "$n" SET key:__rand_int__ value:0123456789
        row GET "$c" "$p" "$n" GET key:__rand_int__
        row XADD "$c" "$p" "$((n / 2))" XADD log '*' sensor 17 reading 23.5
        fill_streams
        row "XRANGE COUNT 10" "$c" "$p" "$((n / 4))" XRANGE events - + COUNT 10
    done
}

# send_all PORT: sends the commands that come in, one a line.
send_all() { redis-cli -p "$1" --pipe >/dev/null; }

streams() {
    echo
    echo "| streams         | clients x pipeline | ours | redis | echo | ours/redis | ours/echo |"
    echo "|---|---|---|---|---|---|---|"
    redis-cli -p "$ours" flushall >/dev/null && redis-cli -p "$real" flushall >/dev/null
    row "XADD MAXLEN ~" 20 100 1000000 XADD capped MAXLEN '~' 1000 '*' sensor 17 reading 23.5
    local entries=1000000 port
    for port in "$ours" "$real"; do
        seq -f 'XADD work 1-%.0f job 17' "$entries" | send_all "$port"
        redis-cli -p "$port" XGROUP CREATE work team 0 >/dev/null
    done
    # Each entry can be read and acknowledged once: one round, and as many requests as there are entries.
    ROUNDS=1 row "XREADGROUP" 20 16 "$entries" XREADGROUP GROUP team worker COUNT 1 STREAMS work '>'
    # A million entries are pending now.
    row "XPENDING 10" 20 16 100000 XPENDING work team 1-500000 + 10
    RANGE=$entries row "XCLAIM at random" 20 16 200000 XCLAIM work team other 0 1-__rand_int__ JUSTID
    RANGE=$entries ROUNDS=1 row "XACK at random" 20 16 "$entries" XACK work team 1-__rand_int__
    for port in "$ours" "$real"; do
        seq -f 'XADD small %.0f-1 sensor 17 reading 23.5' 10000 | send_all "$port"
        seq -f 'XADD large %.0f-1 sensor 17 reading 23.5' 10000000 | send_all "$port"
    done
    row "10 of 10,000" 20 16 200000 XRANGE small 5000 + COUNT 10
    row "10 of 10,000,000" 20 16 200000 XRANGE large 5000000 + COUNT 10
    redis-cli -p "$ours" flushall >/dev/null && redis-cli -p "$real" flushall >/dev/null
    workers
    echo
    python3 "$here/wakeup.py" "$ours" "$real"
}

# Twenty workers of one group: each entry is read with XREADGROUP and acknowledged with XACK.
workers() {
    echo
    echo "| twenty workers, entries a second | ours | redis | ours/redis |"
    echo "|---|---|---|---|"
    for pipeline in 1 16 100; do
        local entries=$((pipeline == 1 ? 100000 : 500000))
        : >"$work/o" && : >"$work/r"
        for _ in $(seq "$ROUNDS"); do
            "$root/target/release/examples/workers" "$ours" "$entries" "$pipeline" >>"$work/o"
            "$root/target/release/examples/workers" "$real" "$entries" "$pipeline" >>"$work/r"
        done
        awk -v p="$pipeline" -v o="$(median <"$work/o")" -v r="$(median <"$work/r")" \
            'BEGIN { printf "| XREADGROUP and XACK, pipelines of %d | %d | %d | %.2f |\n", p, o, r, o / r }'
    done
}

# A light client, with a request every half millisecond, beside heavy clients: the times of its replies. (light.rs)
light() {
    echo
    echo "| a light client beside | ours p50 | p99 | p99.9 | redis p50 | p99 | p99.9 | (ms)"
    echo "|---|---|---|---|---|---|---|"
    local name c p
    for name in SET GET; do
        for load in "50 1" "50 16" "20 256"; do
            read -r c p <<<"$load"
            : >"$work/o" && : >"$work/r"
            for _ in $(seq "$ROUNDS"); do
                beside "$ours" "$c" "$p" "$name" >>"$work/o"
                beside "$real" "$c" "$p" "$name" >>"$work/r"
            done
            echo "| $name $c x $p | $(medians "$work/o") | $(medians "$work/r") |"
        done
    done
}

# beside PORT CLIENTS PIPELINE COMMAND: the light client's three percentiles while the heavy clients run.
beside() {
    local words=("$4" key:__rand_int__)
    [ "$4" = SET ] && words+=(value:0123456789)
    redis-benchmark -p "$1" -c "$2" -P "$3" -n 1000000000 -r 100000 "${words[@]}" >/dev/null 2>&1 &
    local heavy=$!
    sleep 0.5
    "$root/target/release/examples/light" "$1" 3
    kill "$heavy" && wait "$heavy" 2>/dev/null || true
}

# medians FILE: the median of each of three columns.
medians() {
    local column
    for column in 1 2 3; do
        [ "$column" = 1 ] || printf ' | '
        printf %s "$(cut -d' ' -f"$column" "$1" | median)"
    done
}

rss() { awk '/^VmRSS/ { print $2 * 1024 }' "/proc/$1/status"; }

memory() {
    echo
    echo "| memory | ours | redis | ours/redis |"
    echo "|---|---|---|---|"
    local before_o before_r
    # Each is measured from fresh servers: what an earlier load left behind would be counted to the later.
    for kind in key entry "pending entry"; do
        local po pr
        po=$(free_port) pr=$(free_port)
        start "mem-ours-${kind// /-}" "$po" "$root/target/release/redis-clone" --port "$po"
        local ours_mem=${pids[-1]}
        start "mem-real-${kind// /-}" "$pr" redis-server --port "$pr" --save ''
        local real_mem=${pids[-1]}
        before_o=$(rss "$ours_mem") before_r=$(rss "$real_mem")
        for port in "$po" "$pr"; do
            if [ "$kind" = key ]; then
                seq -f 'SET key:%012.0f value:0123456789' 1000000 | redis-cli -p "$port" --pipe >/dev/null
            else
                if [ "$kind" = "pending entry" ]; then
                    redis-cli -p "$port" XGROUP CREATE log team 0 MKSTREAM >/dev/null
                fi
                yes "XADD log * sensor 17 reading 23.5" | head -1000000 | redis-cli -p "$port" --pipe >/dev/null
            fi
            if [ "$kind" = "pending entry" ]; then
                seq -f 'XREADGROUP GROUP team worker%.0f COUNT 1000 STREAMS log >' 1000 | redis-cli -p "$port" --pipe >/dev/null
            fi
        done
        sleep 3
        awk -v k="bytes per $kind (1,000,000)" -v o="$(($(rss "$ours_mem") - before_o))" -v r="$(($(rss "$real_mem") - before_r))" \
            'BEGIN { printf "| %s | %.1f | %.1f | %.2f |\n", k, o / 1e6, r / 1e6, o / r }'
        kill "$ours_mem" "$real_mem"
    done
}

# The longest pause another client sees while 3,000,000 keys come in.
growth() {
    echo
    python3 "$here/growth.py" "$ours" "$real"
}

# What another client sees while 2,000,000 keys expire: fresh servers, so that all keys are those of the script.
expiry() {
    echo
    local po pr
    po=$(free_port) pr=$(free_port)
    start expiry-ours "$po" "$root/target/release/redis-clone" --port "$po"
    local ours_pid=${pids[-1]}
    start expiry-real "$pr" redis-server --port "$pr" --save ''
    local real_pid=${pids[-1]}
    python3 "$here/expiry.py" "$po" "$ours_pid" "$pr" "$real_pid"
    kill "$ours_pid" "$real_pid"
}

idle() {
    echo
    python3 "$here/idle.py" "$ours" "$ours_pid" 10000
}

# A primary with replicas of its own kind.
replication() {
    python3 "$here/replication.py" "$root/target/release/redis-clone"
}

case $what in
    all) speed && light && streams && memory && growth && expiry && replication && idle ;;
    speed | light | streams | memory | growth | expiry | replication | idle) "$what" ;;
    *) echo "usage: run.sh [speed|light|streams|memory|growth|expiry|replication|idle]" >&2 && exit 1 ;;
esac
