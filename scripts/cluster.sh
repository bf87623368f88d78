# shellcheck shell=bash
# Runs a private database server, silos and an HTTP front as separate processes. Sourced by run.sh (cluster).

readonly CLUSTER_DIR=$UPOOL_ROOT/.upool/cluster
readonly CLUSTER_DATABASE=upool

# Bounds in seconds. The last one is above the 30 s shutdown timeout of a .NET host.
readonly DATABASE_START_TIMEOUT=60
readonly READY_TIMEOUT=120
readonly STOP_TIMEOUT=40

# The names of the parts in the order of their start; the database is the first.
parts=()
declare -A part_pid part_url

# run_cluster <silos> <urls of the front>
run_cluster() {
    local silos=$1 urls=$2 front_port number
    front_port=$(port_of "$urls")
    mkdir -p "$CLUSTER_DIR/logs"
    chmod 700 "$CLUSTER_DIR"
    exec 9>"$CLUSTER_DIR/lock"
    flock -n 9 || die 1 "another './run.sh cluster' of this folder is running"
    ! port_answers "$front_port" || die 1 "port $front_port is in use; set ASPNETCORE_URLS to another"
    need_dotnet
    find_program setpriv >/dev/null || die 1 "setpriv is missing: apt-get install util-linux"
    server=${UPOOL_SERVER:-system}
    [[ $server != system ]] || ensure_mariadb
    say "Building…"
    # One after the other: they share projects, and concurrent builds would write the same files. Without the lock's
    # descriptor, which the compiler server would keep open long after this script.
    build "$UPOOL_ROOT/src/Silo" 9>&- || die 1 "the build failed"
    build "$UPOOL_ROOT/src/Api" 9>&- || die 1 "the build failed"

    trap stop_cluster EXIT
    trap 'say ""; exit 130' INT
    trap 'exit 143' TERM HUP

    start_database
    export_settings "$silos"
    say "Applying the schema…"
    part_run migrate Silo --migrate --seed

    for ((number = 1; number <= silos; number++)); do
        start_silo "silo-$number"
    done
    for ((number = 1; number <= silos; number++)); do
        wait_ready "silo-$number"
    done
    start_front "$urls" "$front_port"
    wait_ready api

    print_cluster
    watch_cluster
}

# start_part <name> <url> <folder> <command…>: starts a part in its own session, so that Ctrl-C reaches only this
# script, which stops the parts in order. If this script is killed, the kernel terminates the part.
start_part() {
    local name=$1 url=$2 folder=$3
    shift 3
    setsid setpriv --pdeathsig TERM env --chdir="$folder" "$@" >"$CLUSTER_DIR/logs/$name.log" 2>&1 </dev/null 9>&- &
    parts+=("$name")
    part_pid[$name]=$!
    part_url[$name]=$url
}

# part_run <name> <project> <argument…>: runs a program to its end; if it fails, prints its output and exits.
part_run() {
    local name=$1 project=$2 log=$CLUSTER_DIR/logs/$1.log
    shift 2
    (cd "$UPOOL_ROOT/src/$project" && exec dotnet "$(program_dll "$project")" "$@" >"$log" 2>&1 </dev/null 9>&-) || {
        tail -n 30 "$log" >&2
        die 1 "'$project $*' failed; its log: $log"
    }
}

# start_database: starts $server; each server has its own data.
start_database() {
    local data=$CLUSTER_DIR/data template port waited log=$CLUSTER_DIR/logs/database.log right="CONNECTION ADMIN"
    local -a own=(--performance-schema=0)
    [[ $server == system ]] || data+=-$server
    if [[ $server == mysql-* ]]; then
        # The pool reads performance_schema to confirm that a session is closed.
        right=CONNECTION_ADMIN own=(--performance-schema=1)
    fi
    database_password
    if [[ ! -d $data/mysql ]]; then
        say "Creating a private database ($server) in $data…"
        template=$("$UPOOL_ROOT/scripts/server.sh" data "$server" 9>&-) || die 1 "there is no server '$server'"
        rm -rf "$data"
        cp -r "$template" "$data.new" && mv "$data.new" "$data"
    fi

    (umask 077 && cat >"$CLUSTER_DIR/init.sql" <<SQL
CREATE DATABASE IF NOT EXISTS $CLUSTER_DATABASE CHARACTER SET utf8mb4;
DROP USER IF EXISTS 'root'@'127.0.0.1', 'root'@'::1';
CREATE USER IF NOT EXISTS 'upool'@'%' IDENTIFIED BY '$password';
ALTER USER 'upool'@'%' IDENTIFIED BY '$password';
GRANT ALL ON $CLUSTER_DATABASE.* TO 'upool'@'%';
GRANT PROCESS, $right ON *.* TO 'upool'@'%';
SQL
    )

    port=$(free_port)
    # Relative to the data folder, because a socket's path has at most 108 bytes.
    start_part database "127.0.0.1:$port" "$data" "$UPOOL_ROOT/scripts/server.sh" run "$server" --datadir="$data" \
        --socket=server.sock --pid-file=server.pid --init-file="$CLUSTER_DIR/init.sql" --port="$port" \
        --bind-address=127.0.0.1 --skip-name-resolve --innodb-buffer-pool-size=64M --character-set-server=utf8mb4 \
        --skip-log-bin "${own[@]}"
    database_port=$port
    for ((waited = 0; waited < DATABASE_START_TIMEOUT * 10; waited++)); do
        if grep -q 'ready for connections' "$log"; then
            return
        fi
        check_alive database
        sleep 0.1
    done
    die 1 "the database did not start within $DATABASE_START_TIMEOUT s; its log: $log"
}

# Sets password: generated once, stored beside the data of the server that uses it, readable only for this user.
database_password() {
    local file=$CLUSTER_DIR/password
    [[ -s $file ]] || (umask 077 && head -c 18 /dev/urandom | base64 | tr '+/' '-_' >"$file")
    password=$(<"$file")
}

# export_settings <silos>: exports the settings that all .NET processes of the cluster share. By the environment, so
# that no process list shows a secret.
export_settings() {
    local silos=$1
    unset ASPNETCORE_URLS
    export DOTNET_ENVIRONMENT=${DOTNET_ENVIRONMENT:-Production}
    export ASPNETCORE_ENVIRONMENT=${ASPNETCORE_ENVIRONMENT:-$DOTNET_ENVIRONMENT}
    export ConnectionStrings__UPool="Server=127.0.0.1;Port=$database_port;User ID=upool;Password=$password;Database=$CLUSTER_DATABASE"
    # The logs are files here, but for people to read.
    export Logging__Console__FormatterName=${Logging__Console__FormatterName:-simple}
    export UPool__Embedded=false
    export UPool__Cluster__Mode=MySql
    export UPool__Cluster__ClusterId=${UPool__Cluster__ClusterId:-local}
    export UPool__Cluster__ServiceId=${UPool__Cluster__ServiceId:-upool}
    # These apply only with UPool__Budget__ServerConnections: the silos here plus one, and one front.
    export UPool__Budget__MaxSilos=${UPool__Budget__MaxSilos:-$((silos + 1))}
    export UPool__Budget__MaxClients=${UPool__Budget__MaxClients:-1}
}

# start_silo <name>: the silo finds its own Orleans ports; health and management have a separate port.
start_silo() {
    local port
    port=$(free_port)
    UPool__Management__Port=$port start_part "$1" "http://127.0.0.1:$port" "$UPOOL_ROOT/src/Silo" \
        dotnet "$(program_dll Silo)"
}

# start_front <urls> <port>: the management routes have their own port, except in Development, where they share the
# application's.
start_front() {
    if [[ $ASPNETCORE_ENVIRONMENT != Development ]]; then
        export UPool__Management__Port=${UPool__Management__Port:-$(free_port)}
    fi
    management_url=http://127.0.0.1:${UPool__Management__Port:-$2}
    ASPNETCORE_URLS=$1 UPool__Api__HostSilo=false start_part api "http://127.0.0.1:$2" "$UPOOL_ROOT/src/Api" \
        dotnet "$(program_dll Api)"
}

# port_of <urls>: prints the port of the first URL.
port_of() {
    [[ ${1%%;*} =~ ^https?://[^/]+:([0-9]+)/?$ ]] || die 2 "ASPNETCORE_URLS must name a port, like $DEFAULT_URL"
    printf '%s\n' "${BASH_REMATCH[1]}"
}

wait_ready() {
    local name=$1 port=${part_url[$1]##*:} begun=$SECONDS status="none"
    while ((SECONDS - begun < READY_TIMEOUT)); do
        check_alive "$name"
        status=$(http_status "$port" /health/ready)
        [[ $status != 200 ]] || return 0
        sleep 0.2
    done
    tail -n 30 "$CLUSTER_DIR/logs/$name.log" >&2
    die 1 "$name was not ready within $READY_TIMEOUT s (last answer: ${status:-none}); its log: $CLUSTER_DIR/logs/$name.log"
}

check_alive() { kill -0 "${part_pid[$1]}" 2>/dev/null || report_death "$1"; }

# report_death <name> [exit code]: reports a part that ended unexpectedly, and exits.
report_death() {
    local status=${2:-0}
    (($# > 1)) || wait "${part_pid[$1]}" 2>/dev/null || status=$?
    tail -n 30 "$CLUSTER_DIR/logs/$1.log" >&2
    die 1 "$1 (process ${part_pid[$1]}) ended with exit code $status; its log: $CLUSTER_DIR/logs/$1.log"
}

print_cluster() {
    local name front=${part_url[api]}
    say ""
    printf '%-10s %8s  %s\n' part process where
    for name in "${parts[@]}"; do
        printf '%-10s %8d  %s\n' "$name" "${part_pid[$name]}" "${part_url[$name]}"
    done
    cat <<TEXT

logs in ${CLUSTER_DIR#"$UPOOL_ROOT/"}/logs/

  curl -s $front/
  curl -s $front/user/list
  curl -s -X POST $front/user -H 'Content-Type: application/json' -d '{"name":"Alan"}'
  curl -s $front/health/ready
  curl -s $management_url/upool/pool

Ctrl-C stops everything.
TEXT
}

# Waits until a part ends without which the others cannot serve.
watch_cluster() {
    local ended name status
    while true; do
        ended="" status=0
        # Quiet, because bash would report a killed part with its whole command.
        { wait -n -p ended "${part_pid[@]}" || status=$?; } 2>/dev/null
        for name in "${!part_pid[@]}"; do
            [[ ${part_pid[$name]} == "$ended" ]] || continue
            # The cluster outlives a silo; this is the purpose of the demonstration.
            [[ $name == silo-* ]] && others_serve "$name" || report_death "$name" "$status"
            say "$name (process $ended) ended with exit code $status; the others serve. Its log: $CLUSTER_DIR/logs/$name.log"
            unset "part_pid[$name]"
        done
    done
}

# others_serve <silo>: whether another silo is running.
others_serve() {
    local name
    for name in "${!part_pid[@]}"; do
        if [[ $name == silo-* && $name != "$1" ]] && kill -0 "${part_pid[$name]}" 2>/dev/null; then return 0; fi
    done
    return 1
}

# The front first, then the silos together, the database last: no part loses another that it still needs.
stop_cluster() {
    local status=$? name
    trap - EXIT
    # From here on a second Ctrl-C does not wait.
    trap 'kill_parts; exit 130' INT TERM HUP
    ((${#parts[@]} == 0)) || say "Stopping…"
    local -a silos=()
    for name in "${parts[@]}"; do
        [[ $name != silo-* ]] || silos+=("$name")
    done
    stop_parts api
    stop_parts "${silos[@]}"
    stop_parts database
    exit "$status"
}

# stop_parts <name…>: sends SIGTERM to each, and SIGKILL to those that still run after the bound.
stop_parts() {
    local name begun=$SECONDS
    local -a running=()
    for name in "$@"; do
        [[ -n ${part_pid[$name]:-} ]] && kill -TERM "${part_pid[$name]}" 2>/dev/null && running+=("$name")
    done
    for name in "${running[@]}"; do
        while kill -0 "${part_pid[$name]}" 2>/dev/null; do
            if ((SECONDS - begun >= STOP_TIMEOUT)); then
                say "$name did not stop within $STOP_TIMEOUT s and is killed; its log: $CLUSTER_DIR/logs/$name.log"
                # With the wait, bash does not report the kill a second time.
                { kill -KILL "${part_pid[$name]}" && wait "${part_pid[$name]}"; } 2>/dev/null || true
                break
            fi
            sleep 0.1
        done
    done
}

kill_parts() {
    local name
    for name in "${parts[@]}"; do
        kill -KILL "${part_pid[$name]}" 2>/dev/null || true
    done
}
