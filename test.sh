#!/usr/bin/env bash
# Builds everything and runs every test. The last line is "N passed, N failed".
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/scripts/lib.sh"
cd "$UPOOL_ROOT"

usage() {
    cat <<'TEXT'
Usage: ./test.sh [quick | long] [project…] [option…]

  quick               leaves out what starts servers or programs of its own: a look before each commit
  long                the long forms of those that have one; all of it takes about three hours
  project             a folder of tests/ (Pool) or a project's name (UPool.Tests); all of them when none is given
  --filter <text>     only tests whose full name contains the text
  --filter-<what> <x> passed on to the test programs: class, method, namespace, trait, query (and their not- forms)
  --no-build          runs what was built last

Given projects are built alone; without any, the whole solution.

Tests that need a database start private servers: of this machine's MariaDB, which is installed from Debian when there
is none.
UPOOL_TEST_SERVER   another server for them: mysql-9.7, mariadb-11.8, mariadb-10.11; scripts/get-server.sh unpacks it.
                    Tests for one family of servers only are left out on another, and counted
UPOOL_TEST_MYSQL    a server of yours for the tests that share one: a connection string of an account that may do
                    everything there. It is asked what it is before anything runs; the tests that stop or freeze a
                    server start private ones all the same, of the same family: mysql-9.7 unless UPOOL_TEST_SERVER
                    names another
UPOOL_SERVERS       where unpacked servers are kept (.upool/servers)
UPOOL_TEST_TIMEOUT  seconds for one project before it counts as hung (600)
UPOOL_TEST_LANES    how many projects run at a time (2)
TEXT
}

projects=()
filters=()
# What a form leaves out.
form=()
# What the test programs print: failures alone, or with picked tests all of it.
detail=()
build=true
case ${1:-} in
    quick)
        form=(--filter-not-trait Needs=OwnProcesses)
        # A test that forgot the trait fails there.
        export UPOOL_TEST_FORM=quick
        shift
        ;;
    long)
        # See docs/reliability.md.
        export UPOOL_TEST_TIMEOUT=${UPOOL_TEST_TIMEOUT:-7200} UPOOL_TEST_LANES=${UPOOL_TEST_LANES:-1} \
            UPOOL_TEST_FACTOR=${UPOOL_TEST_FACTOR:-5} UPOOL_RESTARTS=${UPOOL_RESTARTS:-10} \
            UPOOL_BUDGET_ROUNDS=${UPOOL_BUDGET_ROUNDS:-3} UPOOL_ROLLING_ROUNDS=${UPOOL_ROLLING_ROUNDS:-4} \
            UPOOL_CHAOS_SECONDS=${UPOOL_CHAOS_SECONDS:-3600}
        shift
        ;;
esac
while (($# > 0)); do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --no-build) build=false ;;
        --filter)
            (($# > 1)) || die 2 "--filter needs a text"
            filters+=(--filter-method "*$2*")
            shift
            ;;
        --filter-*)
            (($# > 1)) || die 2 "$1 needs a value"
            filters+=("$1" "$2")
            shift
            ;;
        -*) die 2 "unknown option '$1' (see ./test.sh --help)" ;;
        *) projects+=("$1") ;;
    esac
    shift
done
((${#filters[@]} == 0)) || detail=(--output Detailed)

# Prints the project files to run, those that take long first.
selected_projects() {
    local file name wanted found
    local -a all=(tests/{Deploy,Processes,Pool,Cluster}/*.Tests.csproj)
    for file in tests/*/*.Tests.csproj; do
        [[ " ${all[*]} " == *" $file "* ]] || all+=("$file")
    done
    if ((${#projects[@]} == 0)); then
        printf '%s\n' "${all[@]}"
        return
    fi

    for wanted in "${projects[@]}"; do
        found=false
        for file in "${all[@]}"; do
            name=$(basename -- "$file" .csproj)
            if [[ $wanted == "$name" || tests/${wanted#tests/} == "$(dirname -- "$file")" ]]; then
                printf '%s\n' "$file"
                found=true
            fi
        done
        [[ $found == true ]] || die 2 "no test project '$wanted'; there are: ${all[*]}"
    done
}

# Prints a number of the summary that a test program prints last; nothing when it printed none.
summary_of() { sed -n "s/^ *$2: \([0-9][0-9]*\)$/\1/p" "$1" | tail -n 1; }

# The server of the tests: $server for scripts/server.sh, and the trait of the tests that it cannot run.
prepare_server() {
    server=${UPOOL_TEST_SERVER:-system} server_version=""
    family=MariaDB other=MySQL
    [[ $server != mysql-* ]] || family=MySQL other=MariaDB
    if [[ -n ${UPOOL_TEST_MYSQL:-} ]]; then
        ask_given_server
        # Whoever brings a server gets none installed, and the quick form starts no other.
        [[ $server != system && ${#form[@]} == 0 ]] || return 0
    fi
    [[ $server != system ]] || ensure_mariadb
    # Here, and not at each project's first test: getting a server and making its data may take minutes.
    scripts/server.sh data "$server" >/dev/null || die 1 "the tests have no server '$server'"
    server_version=${server_version:-$(scripts/server.sh version "$server")}
}

# The server of UPOOL_TEST_MYSQL: one that cannot be used is told before anything runs, and of its family are the private
# servers too.
ask_given_server() {
    local program=tests/Testing/bin/Release/net10.0/UPool.Testing.dll answer
    [[ $build == false ]] || build tests/Testing || { say "The build failed."; say "0 passed, 1 failed"; exit 1; }
    [[ -e $program ]] || die 1 "$program is missing: run once without --no-build"
    answer=$(dotnet "$program" 2>&1) || die 1 "$answer"
    server_version="${answer#* } of UPOOL_TEST_MYSQL"
    [[ ${answer%% *} != "$family" ]] || return 0

    [[ -z ${UPOOL_TEST_SERVER:-} ]] ||
        die 1 "UPOOL_TEST_MYSQL names a server of $other (${answer#* }), and UPOOL_TEST_SERVER=$server is of $family:" \
            "leave that out, or name one of $other"
    family=MySQL other=MariaDB server=mysql-9.7
    export UPOOL_TEST_SERVER=$server
}

# run_project <project file>: one line when all is well, the program's output when not; and the counts in a file.
run_project() {
    local name program log status=0 begun=$EPOCHREALTIME ok bad skipped problem=""
    name=$(basename -- "$1" .csproj)
    program=$(dirname -- "$1")/bin/Release/net10.0/$name.dll
    log=$logs/$name.log

    # --foreground: Ctrl-C reaches the tests too.
    timeout --foreground --kill-after=10 "${UPOOL_TEST_TIMEOUT:-600}" \
        dotnet "$program" --progress off --ansi off "${detail[@]}" "${filters[@]}" "${form[@]}" \
        --filter-not-trait "OnlyOn=$other" \
        >"$log" 2>&1 </dev/null || status=$?

    ok=$(summary_of "$log" succeeded)
    bad=$(summary_of "$log" failed)
    skipped=$(summary_of "$log" skipped)
    if [[ -z $ok || -z $bad ]]; then
        problem="ended without a result (exit code $status)"
        ((status != 124 && status != 137)) || problem="did not end within ${UPOOL_TEST_TIMEOUT:-600} s"
    elif ((${skipped:-0} > 0)); then
        problem="skipped $skipped; no test may skip itself"
    elif ((ok + bad == 0 && ${#filters[@]} + ${#form[@]} == 0)); then
        problem="ran no test"
    elif ((bad == 0 && status != 0 && ok > 0)); then
        problem="ended with exit code $status"
    fi

    # What went wrong beside the tests counts as one failure.
    [[ -z $problem ]] || bad=$((${bad:-0} + 1))
    printf '%d %d %d\n' "${ok:-0}" "$bad" "$(count_others "$1" "$program")" >"$logs/$name.counts"

    # One at a time, for another project may end now too.
    flock 9
    # Whoever picks tests wants to see their figures.
    if ((bad > 0)) || [[ ${#filters[@]} -gt 0 && -z ${CI:-} ]]; then
        sed 's/^/    /' "$log"
    fi

    printf '%-6s %-22s %4d passed, %d failed  %5.1f s  %s\n' \
        "$( ((bad > 0)) && echo FAILED || echo ok)" "$name" "${ok:-0}" "$bad" \
        "$(seconds_since "$begun")" "$problem"
    flock -u 9
}

# run_projects <project file…>: so many at a time; most of their time they wait. Those that start programs by the dozen
# take one lane between them: both at once would leave a program a fiftieth of the machine, and fail on its deadlines.
run_projects() {
    local project running=0
    local -a programs=() others=()
    for project in "$@"; do
        case $project in
            tests/Deploy/* | tests/Processes/*) programs+=("$project") ;;
            *) others+=("$project") ;;
        esac
    done

    # Each lane is a process group of its own, which Ctrl-C does not reach.
    set -m
    trap 'end_lanes; exit 130' INT
    trap 'end_lanes; exit 143' TERM HUP
    if ((${#programs[@]} > 0)); then
        run_in_turn "${programs[@]}" &
        running=1
    fi
    for project in "${others[@]}"; do
        if ((running >= ${UPOOL_TEST_LANES:-2})); then
            wait -n || true
            running=$((running - 1))
        fi
        run_in_turn "$project" &
        running=$((running + 1))
    done
    wait
    set +m
    trap - INT TERM HUP
}

run_in_turn() {
    local project
    for project in "$@"; do
        run_project "$project" 9>"$logs/lock"
    done
}

end_lanes() {
    local lane
    for lane in $(jobs -p); do
        kill -TERM -- "-$lane" 2>/dev/null || true
    done
    wait
}

# count_others <project file> <test program>: prints how many of the picked tests are for the other family only.
count_others() {
    local found=0
    # Asking the program takes a second; most projects have none.
    if grep -rqF OnlyOn --include='*.cs' "$(dirname -- "$1")"; then
        found=$(dotnet "$2" --list-tests --ansi off "${filters[@]}" "${form[@]}" --filter-trait "OnlyOn=$other" 2>/dev/null |
            sed -n 's/^Test discovery summary: found \([0-9][0-9]*\) .*/\1/p')
    fi
    printf '%s\n' "${found:-0}"
}

# EPOCHREALTIME has microseconds; its point may be a comma in some locales.
seconds_since() {
    local now=$EPOCHREALTIME
    local micros=$((${now/[.,]/} - ${1/[.,]/}))
    printf '%d.%d\n' $((micros / 1000000)) $((micros / 100000 % 10))
}

need_dotnet
list=$(selected_projects)
prepare_server
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

if [[ $build == true ]]; then
    begun=$EPOCHREALTIME
    targets=uPool.sln
    ((${#projects[@]} == 0)) || targets=$list
    while read -r target; do
        # A build that fails is one failure, so that the last line says so too.
        build "$target" || { say "The build failed."; say "0 passed, 1 failed"; exit 1; }
    done <<<"$targets"
    say "built in $(seconds_since "$begun") s"
fi

mapfile -t list <<<"$list"
run_projects "${list[@]}"

passed=0
failed=0
# Tests that are for another family of servers only.
others=0
for project in "${list[@]}"; do
    # A lane that ended without its counts is a failure too.
    read -r ok bad left_out <"$logs/$(basename -- "$project" .csproj).counts" || { ok=0 bad=1 left_out=0; }
    passed=$((passed + ok))
    failed=$((failed + bad))
    others=$((others + left_out))
done

if ((passed + failed == 0)); then
    say "No test matches."
    failed=1
fi

say "$family $server_version: $others tests are for $other only"
say "$passed passed, $failed failed"
((failed == 0))
