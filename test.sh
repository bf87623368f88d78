#!/usr/bin/env bash
# Builds everything and runs every test. The last line is "N passed, N failed".
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/scripts/lib.sh"
cd "$UPOOL_ROOT"

usage() {
    cat <<'TEXT'
Usage: ./test.sh [quick | long] [project…] [option…]

  quick               leaves out tests that start servers or programs; for use before each commit
  long                the long form of tests that have one; takes about three hours in all
  project             a folder of tests/ (Pool) or a project's name (UPool.Tests); default: all
  --filter <text>     only tests whose full name contains the text
  --filter-<what> <x> passed on to the test programs: class, method, namespace, trait, query (and their not- forms)
  --no-build          runs the last build

With projects, only those are built; otherwise the whole solution.

Tests that need a database start private servers with this machine's MariaDB, which is installed from Debian if it is
missing.
UPOOL_TEST_SERVER   another server for them: mysql-9.7, mariadb-11.8, mariadb-10.11; scripts/get-server.sh unpacks it.
                    Tests for one family of servers only are left out on the other, and counted
UPOOL_TEST_MYSQL    your own server for the tests that share one: a connection string of an account with all rights. Its
                    version is read before any test runs. Tests that stop or freeze a server still start private ones,
                    of the same family: mysql-9.7 unless UPOOL_TEST_SERVER names another
UPOOL_SERVERS       folder of unpacked servers (.upool/servers)
UPOOL_TEST_TIMEOUT  seconds for one project before it counts as hung (900)
UPOOL_TEST_LANES    number of projects that run at a time (2)
TEXT
}

projects=()
filters=()
# The tests that a form leaves out.
form=()
# The output of the test programs: failures only, or everything if tests are picked by a filter.
detail=()
build=true
case ${1:-} in
    quick)
        form=(--filter-not-trait Needs=OwnProcesses)
        # A test without the trait that starts a server or program fails in this form.
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

# Prints the project files to run, the slowest first.
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

# Prints a number from a test program's final summary; nothing without a summary.
summary_of() { sed -n "s/^ *$2: \([0-9][0-9]*\)$/\1/p" "$1" | tail -n 1; }

# Sets the server of the tests: $server for scripts/server.sh, and the trait of the tests that it cannot run.
prepare_server() {
    server=${UPOOL_TEST_SERVER:-system} server_version=""
    family=MariaDB other=MySQL
    [[ $server != mysql-* ]] || family=MySQL other=MariaDB
    if [[ -n ${UPOOL_TEST_MYSQL:-} ]]; then
        ask_given_server
        # With a given server none is installed, and the quick form starts no other.
        [[ $server != system && ${#form[@]} == 0 ]] || return 0
    fi
    [[ $server != system ]] || ensure_mariadb
    # Here, not at each project's first test: downloading a server and creating its data may take minutes.
    scripts/server.sh data "$server" >/dev/null || die 1 "the tests have no server '$server'"
    server_version=${server_version:-$(scripts/server.sh version "$server")}
}

# Checks the server of UPOOL_TEST_MYSQL before any test runs, and takes the private servers from the same family.
ask_given_server() {
    local program=tests/Testing/bin/Release/net10.0/UPool.Testing.dll answer
    [[ $build == false ]] || build tests/Testing || { say "The build failed."; say "0 passed, 1 failed"; exit 1; }
    [[ -e $program ]] || die 1 "$program is missing: run once without --no-build"
    answer=$(dotnet "$program" 2>&1) || die 1 "$answer"
    server_version="${answer#* } of UPOOL_TEST_MYSQL"
    [[ ${answer%% *} != "$family" ]] || return 0

    [[ -z ${UPOOL_TEST_SERVER:-} ]] ||
        die 1 "UPOOL_TEST_MYSQL names a server of $other (${answer#* }), but UPOOL_TEST_SERVER=$server is of $family:" \
            "unset UPOOL_TEST_SERVER, or name one of $other"
    family=MySQL other=MariaDB server=mysql-9.7
    export UPOOL_TEST_SERVER=$server
}

# run_project <project file>: prints one line on success, else the program's output; writes the counts to a file.
run_project() {
    local name program log status=0 begun=$EPOCHREALTIME ok bad skipped problem=""
    name=$(basename -- "$1" .csproj)
    program=$(dirname -- "$1")/bin/Release/net10.0/$name.dll
    log=$logs/$name.log

    # --foreground: Ctrl-C reaches the tests too.
    timeout --foreground --kill-after=10 "${UPOOL_TEST_TIMEOUT:-900}" \
        dotnet "$program" --progress off --ansi off "${detail[@]}" "${filters[@]}" "${form[@]}" \
        --filter-not-trait "OnlyOn=$other" \
        >"$log" 2>&1 </dev/null || status=$?

    ok=$(summary_of "$log" succeeded)
    bad=$(summary_of "$log" failed)
    skipped=$(summary_of "$log" skipped)
    if [[ -z $ok || -z $bad ]]; then
        problem="ended without a result (exit code $status)"
        ((status != 124 && status != 137)) || problem="did not end within ${UPOOL_TEST_TIMEOUT:-900} s"
    elif ((${skipped:-0} > 0)); then
        problem="skipped $skipped; no test may skip itself"
    elif ((ok + bad == 0 && ${#filters[@]} + ${#form[@]} == 0)); then
        problem="ran no test"
    elif ((bad == 0 && status != 0 && ok > 0)); then
        problem="ended with exit code $status"
    fi

    # A problem outside the tests counts as one failure.
    [[ -z $problem ]] || bad=$((${bad:-0} + 1))
    printf '%d %d %d\n' "${ok:-0}" "$bad" "$(count_others "$1" "$program")" >"$logs/$name.counts"

    # Locked, because another project may end at the same time.
    flock 9
    # Picked tests print their figures.
    if ((bad > 0)) || [[ ${#filters[@]} -gt 0 && -z ${CI:-} ]]; then
        sed 's/^/    /' "$log"
    fi

    printf '%-6s %-22s %4d passed, %d failed  %5.1f s  %s\n' \
        "$( ((bad > 0)) && echo FAILED || echo ok)" "$name" "${ok:-0}" "$bad" \
        "$(seconds_since "$begun")" "$problem"
    flock -u 9
}

# run_projects <project file…>: runs UPOOL_TEST_LANES projects at a time; most of the time they wait. Those that start
# programs by the dozen share one lane: two of them at once leave each program too little of the machine for its deadlines.
run_projects() {
    local project running=0
    local -a programs=() others=()
    for project in "$@"; do
        case $project in
            tests/Deploy/* | tests/Processes/*) programs+=("$project") ;;
            *) others+=("$project") ;;
        esac
    done

    # Each lane has its own process group, which Ctrl-C does not reach.
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

# count_others <project file> <test program>: prints the number of picked tests that are for the other family only.
count_others() {
    local found=0
    # Listing tests takes a second; most projects have none.
    if grep -rqF OnlyOn --include='*.cs' "$(dirname -- "$1")"; then
        found=$(dotnet "$2" --list-tests --ansi off "${filters[@]}" "${form[@]}" --filter-trait "OnlyOn=$other" 2>/dev/null |
            sed -n 's/^Test discovery summary: found \([0-9][0-9]*\) .*/\1/p')
    fi
    printf '%s\n' "${found:-0}"
}

# EPOCHREALTIME has microseconds; some locales use a decimal comma.
seconds_since() {
    local now=$EPOCHREALTIME
    local micros=$((${now/[.,]/} - ${1/[.,]/}))
    printf '%d.%d\n' $((micros / 1000000)) $((micros / 100000 % 10))
}

# The programs of the tests live for seconds, too short for the JIT's profiling to pay.
export DOTNET_TieredPGO=${DOTNET_TieredPGO:-0}
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
        # A failed build counts as one failure, so that the last line shows it too.
        build "$target" || { say "The build failed."; say "0 passed, 1 failed"; exit 1; }
    done <<<"$targets"
    say "built in $(seconds_since "$begun") s"
fi

mapfile -t list <<<"$list"
run_projects "${list[@]}"

passed=0
failed=0
# Tests for the other family of servers only.
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
