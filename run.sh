#!/usr/bin/env bash
# Builds uPool and runs it: one process, or a cluster on this machine.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/scripts/lib.sh"

usage() {
    cat <<'TEXT'
Usage: ./run.sh                 one process: HTTP, a worker (silo) and its pool, on http://127.0.0.1:5000
       ./run.sh cluster [N]     N silos (3) and an HTTP front over a private MariaDB, all on this machine. MariaDB is
                                installed from Debian if it is missing. If you kill a silo, the others serve

Without a connection string ./run.sh serves from an embedded SQLite file with a few users. To serve from MySQL or
MariaDB:

  ConnectionStrings__UPool='Server=…;User ID=…;Password=…;Database=…' ./run.sh

ASPNETCORE_URLS     addresses to listen on (http://127.0.0.1:5000)
DOTNET_ENVIRONMENT  default: Development without a connection string, Production with one

UPOOL_SERVER        the cluster's database: mysql-9.7, mariadb-11.8 or mariadb-10.11 instead of this machine's MariaDB;
                    unpacked by scripts/get-server.sh, with its own data

The cluster keeps its data and its logs in .upool/cluster/. Ctrl-C stops everything.
TEXT
}

readonly DEFAULT_URL=http://127.0.0.1:5000
readonly DEFAULT_SILOS=3
# Each silo is a process of about 150 MB; this is for trying out a cluster, not for production.
readonly MAX_SILOS=16

run_single() {
    need_dotnet
    say "Building…"
    build "$UPOOL_ROOT/src/Api" || die 1 "the build failed"

    local environment=Production
    [[ -n ${ConnectionStrings__UPool:-} ]] || environment=Development
    environment=${ASPNETCORE_ENVIRONMENT:-${DOTNET_ENVIRONMENT:-$environment}}
    export ASPNETCORE_ENVIRONMENT=$environment DOTNET_ENVIRONMENT=${DOTNET_ENVIRONMENT:-$environment}
    export ASPNETCORE_URLS=${ASPNETCORE_URLS:-$DEFAULT_URL}

    # Once it serves, the program itself prints its role and addresses.
    say "Starting on $ASPNETCORE_URLS ($environment). Ctrl-C stops it. When it serves: curl -s ${ASPNETCORE_URLS%%;*}/user/list"
    # The folder of appsettings.json, as with 'dotnet run'. exec, so that signals reach the program itself.
    cd "$UPOOL_ROOT/src/Api"
    exec dotnet "$(program_dll Api)"
}

case ${1:-} in
    "") run_single ;;
    -h | --help) usage ;;
    cluster)
        (($# <= 2)) || die 2 "too many arguments (see ./run.sh --help)"
        count=${2:-$DEFAULT_SILOS}
        if ! [[ $count =~ ^[1-9][0-9]?$ ]] || ((count > MAX_SILOS)); then
            die 2 "the number of silos must be 1 to $MAX_SILOS, not '$count'"
        fi
        # shellcheck source=scripts/cluster.sh
        source "$UPOOL_ROOT/scripts/cluster.sh"
        run_cluster "$count" "${ASPNETCORE_URLS:-$DEFAULT_URL}"
        ;;
    *) die 2 "unknown argument '$1' (see ./run.sh --help)" ;;
esac
