#!/usr/bin/env bash
# Compares uPool with other services and pools, on one machine in one run, the sides in turn. bench/Runner measures and
# draws; this script prepares the software that it needs.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/scripts/lib.sh"
cd "$UPOOL_ROOT"

usage() {
    cat <<'TEXT'
Usage: ./bench.sh           the bars, in a quarter of an hour
       ./bench.sh all       everything, within an hour
       ./bench.sh NAME      one part in full: http, pool, overload, growth
       ./bench.sh report    measures nothing; rewrites the tables and plots from the last results

Tables and plots go into docs/performance.md, the figures of each round to .upool/bench/results/. Installs missing
Debian packages of the other sides and of the load generator. Keep the machine quiet meanwhile.

ROUNDS         how often each figure is measured (10; 8 with 'all')
SECONDS_EACH   duration of each measurement, in whole seconds (1; 2 with 'all')
SIDES          the sides measured over HTTP, separated by spaces: original handwritten-defaults handwritten-best
               cohosted cohosted-shared separate separate-shared separate-shared-calls
TEXT
}

# The load generator, the original's stack, and the reference pool on the JVM.
readonly PEERS=(
    wrk
    uwsgi uwsgi-plugin-python3 uwsgi-plugin-gevent-python3 python3-flask python3-gevent python3-pymysql
    libhikaricp-java default-jdk-headless
)

ensure_peers() {
    local package
    local -a missing=()
    for package in "${PEERS[@]}"; do
        [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            missing+=("$package")
    done
    ((${#missing[@]} == 0)) || install_packages "software of the other sides" "${missing[@]}"
}

what=${1:-bars}
(($# <= 1)) || die 2 "too many arguments (see ./bench.sh --help)"
case $what in
    -h | --help) usage; exit 0 ;;
    all) export ROUNDS=${ROUNDS:-8} SECONDS_EACH=${SECONDS_EACH:-2} ;;
    bars | http | pool | overload | growth | report) ;;
    *) die 2 "unknown argument '$what' (see ./bench.sh --help)" ;;
esac

need_dotnet
if [[ $what != report ]]; then
    ensure_mariadb
    ensure_peers
fi
say "Building…"
build bench/Runner || die 1 "the build failed"
exec dotnet bench/Runner/bin/Release/net10.0/UPool.Bench.Runner.dll "$what"
