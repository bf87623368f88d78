#!/usr/bin/env bash
# Runs a database server by name: the system's, or one unpacked by scripts/get-server.sh.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

usage() {
    cat <<'TEXT'
Usage: scripts/server.sh version <name>           prints the server's version
       scripts/server.sh data <name>              prints a data folder to copy; created at the first call
       scripts/server.sh run <name> [argument…]   runs the server in this process, without the machine's configuration

  name  system (the MariaDB of this machine), mariadb-10.11 (the same if it has that version), mariadb-11.8, mysql-9.7
TEXT
}

# Part of the names of the data folders, like the server's version. Increment it if make_data changes.
readonly DATA_FORMAT=1
readonly LOCK_TIMEOUT=300

# Prints the version of the system's server, like 10.11.14-MariaDB-0+deb12u2; fails without a server.
system_version() {
    local program
    program=$(find_program mariadbd) || return
    "$program" --version | sed -n 's/.* Ver \([^ ]*\).*/\1/p'
}

# locate <name>: sets folder (empty for the system's server), version, and command, the beginning of its command line.
locate() {
    local name=$1 system share
    system=$(system_version || true)
    folder=""
    if [[ $name == system || ($name == mariadb-10.11 && $system == 10.11.*) ]]; then
        version=$system
        [[ -n $version ]] || die 1 "there is no mariadbd here. Get it with: apt-get install mariadb-server"
        command=("$(find_program mariadbd)" --no-defaults)
    else
        folder=$("$UPOOL_ROOT/scripts/get-server.sh" "$name") || exit
        version=$(<"$folder/version")
        if [[ $name == mysql-* ]]; then
            share=$folder/usr/share/mysql
            unpacked_command "$folder" usr/sbin/mysqld
        else
            share=$folder/usr/share/mariadb
            unpacked_command "$folder" usr/sbin/mariadbd
        fi
        command+=(--no-defaults "--basedir=$folder/usr" "--lc-messages-dir=$share" "--character-sets-dir=$share/charsets")
    fi
    # Neither family runs as root without --user. No X Protocol: it would need another free port.
    command+=("--user=$(id -un)")
    [[ $name != mysql-* ]] || command+=(--mysqlx=0 --secure-file-priv=NULL)
}

# make_data <name> <new folder>
make_data() {
    local name=$1 data=$2 share=$folder/usr/share/mariadb
    case $name in
        mysql-*)
            "${command[@]}" --initialize-insecure --datadir="$data" --skip-log-bin --innodb-doublewrite=0 \
                --innodb-flush-log-at-trx-commit=0 || return
            # The server's UUID: each copy generates its own.
            rm -f "$data/auto.cnf"
            ;;
        *)
            if [[ -z $folder ]]; then
                "$(find_program mariadb-install-db)" --no-defaults --datadir="$data" --user="$(id -un)" \
                    --auth-root-authentication-method=normal --skip-test-db --innodb-log-file-size=8M
                return
            fi
            # mariadb-install-db runs tools that need the libraries of their own suite; these are its essential steps.
            mkdir -p "$data"
            {
                # One statement per line: a server without system tables reads nothing else.
                printf '%s\n' 'CREATE DATABASE mysql;' 'USE mysql;' 'SET @auth_root_socket = NULL;'
                cat "$share"/mariadb_{system_tables,performance_tables,system_tables_data}.sql \
                    "$share"/{fill_help_tables,maria_add_gis_sp_bootstrap,mariadb_sys_schema}.sql
            } | "${command[@]}" --bootstrap --datadir="$data" --log-warnings=0 --innodb-log-file-size=8M \
                --max-allowed-packet=8M --net-buffer-length=16K
            ;;
    esac
}

# Prints the data folder of a server; creates it under a lock, because several test programs may need it at once.
data_folder() {
    local name=$1 all data log
    all=${UPOOL_SERVERS:-$UPOOL_ROOT/.upool/servers}/data
    data=$all/$name-$version-$DATA_FORMAT
    if [[ ! -d $data ]]; then
        mkdir -p "$all"
        exec 9>"$all/$name.lock"
        flock --timeout "$LOCK_TIMEOUT" 9 || die 1 "$name: another process has been making its data for $LOCK_TIMEOUT s"
        if [[ ! -d $data ]]; then
            log=$all/$name.log
            rm -rf "$data.partial"
            (make_data "$name" "$data.partial") >"$log" 2>&1 ||
                die 1 "$name $version could not create its data; its log: $log"
            mv "$data.partial" "$data"
        fi
    fi
    printf '%s\n' "$data"
}

case ${1:-} in
    -h | --help) usage; exit 0 ;;
    version | data | run) (($# > 1)) || die 2 "'$1' needs a name (see scripts/server.sh --help)" ;;
    *) die 2 "unknown command '${1:-}' (see scripts/server.sh --help)" ;;
esac

locate "$2"
case $1 in
    version) printf '%s\n' "$version" ;;
    data) data_folder "$2" ;;
    # exec, so that the process id is the server's own and signals reach it.
    run) exec "${command[@]}" "${@:3}" ;;
esac
