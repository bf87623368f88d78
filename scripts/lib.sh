# shellcheck shell=bash
# Functions shared by run.sh, test.sh, bench.sh, .ci/run and the other scripts. Sourced, never run.

# The root of the repository: the parent of this file's folder.
UPOOL_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
readonly UPOOL_ROOT

export DOTNET_NOLOGO=true DOTNET_CLI_TELEMETRY_OPTOUT=true

say() { printf '%s\n' "$*"; }

# die <exit code> <message…>
die() {
    local code=$1
    shift
    printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2
    exit "$code"
}

need_dotnet() {
    command -v dotnet >/dev/null ||
        die 1 "the .NET 10 SDK is missing. See https://dotnet.microsoft.com/download/dotnet/10.0"
    # In the repository, so that global.json applies: without a matching SDK this fails and names the required one.
    (cd "$UPOOL_ROOT" && dotnet --version >/dev/null) ||
        die 1 "no installed .NET SDK fits global.json. See https://dotnet.microsoft.com/download/dotnet/10.0"
}

# Prints the path of a program in PATH or in the folders missing from an ordinary user's PATH; fails if there is none.
find_program() {
    PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1"
}

# Installs Debian's MariaDB if it is missing.
ensure_mariadb() {
    find_program mariadbd >/dev/null && find_program mariadb-install-db >/dev/null && return

    install_packages MariaDB mariadb-server
    find_program mariadbd >/dev/null || die 1 "mariadbd is still missing after the installation"
}

# install_packages <purpose> <package…>: installs Debian packages. Their services are neither started nor enabled, so
# the services of this machine do not change.
install_packages() {
    local what=$1
    shift
    local how="install it with: apt-get install --no-install-recommends $*"
    command -v apt-get >/dev/null || die 1 "$what is missing, and this is not Debian. On Debian, $how"
    local -a root=()
    if [[ $(id -u) != 0 ]]; then
        sudo -n true 2>/dev/null ||
            die 1 "$what is missing, and this user has neither root rights nor sudo without a password: $how"
        root=(sudo -n)
    fi

    say "Installing Debian's $* (services stay off)…"
    local log
    log=$(mktemp)
    if ! install_quietly "$@" >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        die 1 "the installation failed; $how"
    fi
    rm -f "$log"
}

# install_quietly <package…>: uses the caller's $root. In a subshell, so that its trap also cleans up after Ctrl-C.
install_quietly() (
    # invoke-rc.d runs this file before it starts a service; exit code 101 forbids it. An existing file is kept.
    policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        trap '"${root[@]}" rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
        "${root[@]}" chmod 755 "$policy"
    fi

    "${root[@]}" apt-get -q -o DPkg::Lock::Timeout=300 update || true
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "$@" || exit
    # Packages enable their services for the next boot.
    [[ ! -d /run/systemd/system ]] || "${root[@]}" systemctl disable mariadb.service uwsgi.service || true
)

# unpacked_command <folder> <program>: sets command, the beginning of a command line that runs a program from a folder
# of scripts/get-server.sh with the loader and libraries of that folder.
unpacked_command() {
    local folder=$1 program=$1/$2 loader
    loader=$(printf '%s\n' "$folder"/usr/lib/*-linux-gnu/ld-linux-*.so.? | head -n 1)
    [[ -x $loader && -e $program ]] || die 1 "$folder is incomplete: remove it, and it is unpacked again"
    # OpenSSL must use the providers of that folder, and not the configuration of this machine.
    export OPENSSL_MODULES=${loader%/*}/ossl-modules OPENSSL_CONF=/dev/null
    command=("$loader" --library-path "${loader%/*}" --argv0 "$program" "$program")
}

# Prints a free loopback port, below the range of ports for outgoing connections.
free_port() {
    local port attempt
    for ((attempt = 0; attempt < 100; attempt++)); do
        port=$((15000 + RANDOM % 14900))
        port_answers "$port" || { printf '%s\n' "$port"; return; }
    done
    die 1 "no free port between 15000 and 29900"
}

port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Prints the status of GET http://127.0.0.1:<port><path>, or nothing without an answer. (curl may be missing.)
http_status() {
    local answer=""
    # shellcheck disable=SC2016  # The inner shell expands these.
    answer=$(timeout 5 bash -c '
        exec 3<>"/dev/tcp/127.0.0.1/$1" &&
        printf "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n\r\n" "$2" "$1" >&3 &&
        head -n 1 <&3' _ "$1" "$2" 2>/dev/null) || return 0
    [[ $answer =~ ^HTTP/[0-9.]+\ ([0-9]{3}) ]] && printf '%s\n' "${BASH_REMATCH[1]}"
    return 0
}

# build <project or solution> [option…]: prints nothing on success.
build() {
    local log
    log=$(mktemp)
    if ! dotnet build "$@" --configuration Release --nologo --verbosity quiet >"$log" 2>&1; then
        sort -u "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# program_dll <project>: prints the path of its Release build.
program_dll() { printf '%s/src/%s/bin/Release/net10.0/UPool.%s.dll\n' "$UPOOL_ROOT" "$1" "$1"; }
