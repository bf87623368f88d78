#!/usr/bin/env bash
# Measures uPool beside a hand-written API, on one machine in one run, the sides in turn.
set -euo pipefail
CLUSTER_DIR=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)/.upool/bench
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/scripts/lib.sh"
# shellcheck source=scripts/cluster.sh
source "$UPOOL_ROOT/scripts/cluster.sh"

usage() {
    cat <<'TEXT'
Usage: ./bench.sh [list]        GET /user/list (100 rows, 10 connections each) at 8 and 64 clients:
                                uPool co-hosted, and a hand-written minimal API over MySqlConnector's own pool, at its
                                defaults and at its best (no reset of the session between two users of it)

ROUNDS   rounds of each side and number of clients (5)
SECONDS_EACH   length of a round in seconds (5)

Absolute figures are this machine's of this minute; the ratios are what to look at. Only replies with 200 count.
TEXT
}

readonly ROWS=100 CONNECTIONS=10 CLIENTS=(8 64)
readonly SIDES=(upool handwritten-defaults handwritten-best)

ensure_wrk() {
    find_program wrk >/dev/null && return
    [[ $(id -u) == 0 ]] || die 1 "wrk is missing: apt-get install wrk"
    say "Installing Debian's wrk…"
    { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends wrk; } \
        >/dev/null 2>&1 || die 1 "wrk could not be installed: apt-get install wrk"
}

fill_table() {
    MYSQL_PWD=$password mariadb --no-defaults --protocol=tcp --host=127.0.0.1 --port="$database_port" --user=upool \
        "$CLUSTER_DATABASE" --execute="
            DELETE FROM tb1;
            INSERT INTO tb1 (id, name) SELECT seq, CONCAT('user number ', seq) FROM seq_1_to_$ROWS;"
}

# start_side <name>: listens on loopback, the same database, the same number of connections.
start_side() {
    local port string=$ConnectionStrings__UPool
    port=$(free_port)
    case $1 in
        upool)
            UPool__Cluster__Mode=Localhost UPool__Pool__MaxConnections=$CONNECTIONS \
                ASPNETCORE_URLS="http://127.0.0.1:$port" \
                start_part "$1" "http://127.0.0.1:$port" "$UPOOL_ROOT/src/Api" dotnet "$(program_dll Api)"
            ;;
        *)
            string+=";MaximumPoolSize=$CONNECTIONS"
            [[ $1 != *-best ]] || string+=";ConnectionReset=false"
            ConnectionStrings__UPool=$string ASPNETCORE_URLS="http://127.0.0.1:$port" \
                start_part "$1" "http://127.0.0.1:$port" "$UPOOL_ROOT/bench/Handwritten" \
                dotnet "$UPOOL_ROOT/bench/Handwritten/bin/Release/net10.0/UPool.Bench.Handwritten.dll"
            ;;
    esac
}

# measure <side> <clients>: prints "replies a second, p50 in ms, p99 in ms".
measure() {
    wrk -t1 -c"$2" -d"${SECONDS_EACH:-5}" --latency "${part_url[$1]}/user/list" | awk '
        function ms(text) { return text ~ /us$/ ? text / 1000 : text ~ /ms$/ ? text + 0 : text * 1000 }
        $1 == "50%" { p50 = ms($2) } $1 == "99%" { p99 = ms($2) }
        /Non-2xx/ { failed = $NF } / requests in / { total = $1; seconds = $4 + 0 }
        END { printf "%.0f %.2f %.2f\n", (total - failed) / seconds, p50, p99 }'
}

# median <file> <column>
median() { awk -v c="$2" '{ print $c }' "$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

bench_list() {
    local side clients round
    need_dotnet
    ensure_mariadb
    ensure_wrk
    mkdir -p "$CLUSTER_DIR/logs"
    say "Building…"
    for project in src/Silo src/Api bench/Handwritten; do
        build "$UPOOL_ROOT/$project" || die 1 "the build failed"
    done

    trap stop_bench EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    start_database
    export_settings
    part_run migrate Silo --migrate
    fill_table
    for side in "${SIDES[@]}"; do start_side "$side"; done
    rm -f "$CLUSTER_DIR"/*.figures
    sleep 5
    for side in "${SIDES[@]}"; do SECONDS_EACH=5 measure "$side" 64 >/dev/null; done
    for ((round = 1; round <= ${ROUNDS:-5}; round++)); do
        say "round $round of ${ROUNDS:-5}…"
        for clients in "${CLIENTS[@]}"; do
            for side in "${SIDES[@]}"; do measure "$side" "$clients" >>"$CLUSTER_DIR/$side-$clients.figures"; done
        done
    done

    say ""
    say "$(nproc) cores, $(date -u +%F), commit $(git -C "$UPOOL_ROOT" rev-parse --short HEAD 2>/dev/null || echo none)"
    say "| clients | side | replies a second | p50 ms | p99 ms | against it |"
    say "|---|---|---|---|---|---|"
    for clients in "${CLIENTS[@]}"; do
        local own
        own=$(median "$CLUSTER_DIR/upool-$clients.figures" 1)
        for side in "${SIDES[@]}"; do
            local file=$CLUSTER_DIR/$side-$clients.figures rate
            rate=$(median "$file" 1)
            say "| $clients | $side | $rate | $(median "$file" 2) | $(median "$file" 3) | $(awk -v a="$own" -v b="$rate" \
                'BEGIN { printf "%.2f", a / b }') |"
        done
    done
}

stop_bench() {
    local status=$?
    trap - EXIT
    stop_parts "${SIDES[@]}"
    stop_parts mariadb
    exit "$status"
}

case ${1:-list} in
    list) bench_list ;;
    -h | --help) usage ;;
    *) die 2 "unknown argument '$1' (see ./bench.sh --help)" ;;
esac
