#!/usr/bin/env bash
# Unpacks a server of another Debian suite, with its libraries, into its own folder. Nothing is installed: the state of
# the system's apt and dpkg does not change, and removing the folder removes everything.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

usage() {
    cat <<'TEXT'
Usage: scripts/get-server.sh <name>

  mysql-9.7      from Debian sid
  mariadb-11.8   from Debian trixie
  mariadb-10.11  from Debian bookworm
  kustomize      from Debian sid, for the tests of the manifests on machines without kubectl

Unpacks it from this machine's Debian mirror, unless it already exists, and prints its folder. Suites change: an
unpacked version is kept, and the file 'version' in the folder names it. Remove the folder to get a newer one.

UPOOL_SERVERS        their parent folder (.upool/servers)
UPOOL_DEBIAN_MIRROR  another mirror, like http://deb.debian.org/debian
TEXT
}

# Another process may be unpacking the same server, which takes a minute or two.
readonly LOCK_TIMEOUT=900
readonly KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Prints the first package mirror of this machine's apt, except the one for security updates, which lacks other suites.
machine_mirror() {
    # --no-release-info, so that mirrors are printed even if apt has not fetched any list yet.
    # shellcheck disable=SC2016  # apt-get expands these.
    apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        grep --extended-regexp '/debian/?$' | head -n 1
}

# unpack <folder>: unpacks $package of $suite, whose version must begin with $wanted.
unpack() {
    local target=$1 state=$1/.apt mirror version deb
    command -v apt-get >/dev/null && [[ -r $KEYRING ]] || die 1 "$name: this is not Debian (no apt-get, or no $KEYRING)"
    mirror=${UPOOL_DEBIAN_MIRROR:-$(machine_mirror || true)}
    [[ -n $mirror ]] || die 1 "$name: this machine's apt names no Debian mirror; set UPOOL_DEBIAN_MIRROR"

    mkdir -p "$state"/lists/partial "$state"/cache/archives/partial
    # An empty status: as if nothing were installed, so that the folder gets every library, even the C library.
    : >"$state/status"
    printf 'deb [signed-by=%s] %s %s main\n' "$KEYRING" "$mirror" "$suite" >"$state/sources.list"
    # An ordinary user can run all of this. APT::Sandbox::User is empty because as root, apt would otherwise download as
    # an account that cannot write here.
    local -a options=(-q -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
        -o "Dir::State=$state" -o "Dir::State::lists=$state/lists" -o "Dir::State::status=$state/status"
        -o "Dir::Cache=$state/cache" -o Debug::NoLocking=true -o APT::Sandbox::User=
        -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Update::Error-Mode=any
        -o APT::Install-Recommends=false)

    say "Getting $name from Debian $suite…" >&2
    apt-get "${options[@]}" update >"$state/log" 2>&1 || die 1 "$name: no list of packages from $mirror: $(cause "$state/log")"
    version=$(apt-cache "${options[@]}" show --no-all-versions "$package" 2>/dev/null | sed -n 's/^Version: //p') || version=""
    [[ -n $version ]] || die 1 "$name: Debian $suite has no package $package for $(dpkg --print-architecture)"
    # Without Debian's epoch.
    version=${version#*:}
    [[ $version == "$wanted"* ]] || die 1 "$name: Debian $suite has moved on to $package $version"
    apt-get "${options[@]}" --yes --download-only install "$package" >"$state/log" 2>&1 ||
        die 1 "$name: $package $version could not be downloaded from $mirror: $(cause "$state/log")"
    for deb in "$state"/cache/archives/*.deb; do
        # Needed only by installation scripts, and nothing is installed.
        case ${deb##*/} in perl* | libperl* | debconf* | dpkg_* | tar_*) continue ;; esac
        dpkg-deb --extract "$deb" "$target" || die 1 "$name: ${deb##*/} could not be unpacked into $target"
    done
    rm -rf "$state"
    printf '%s\n' "$version" >"$target/version"
}

# cause <log of apt>: prints the first error, else the last line.
cause() {
    local line
    line=$(grep --max-count=1 '^E:' "$1") || line=$(tail -n 1 "$1")
    printf '%s\n' "$line"
}

name=${1:-}
case $name in
    mysql-9.7) suite=sid package=mysql-server-core wanted=9.7. ;;
    mariadb-11.8) suite=trixie package=mariadb-server-core wanted=11.8. ;;
    mariadb-10.11) suite=bookworm package=mariadb-server-core wanted=10.11. ;;
    kustomize) suite=sid package=kustomize wanted= ;;
    -h | --help) usage; exit 0 ;;
    *) die 2 "unknown server '$name' (see scripts/get-server.sh --help)" ;;
esac

servers=${UPOOL_SERVERS:-$UPOOL_ROOT/.upool/servers}
folder=$servers/$name
if [[ ! -s $folder/version ]]; then
    mkdir -p "$servers"
    exec 9>"$servers/$name.lock"
    flock --timeout "$LOCK_TIMEOUT" 9 || die 1 "$name: another process has been unpacking it for $LOCK_TIMEOUT s"
    if [[ ! -s $folder/version ]]; then
        [[ ! -e $folder ]] || die 1 "$name: $folder has no file 'version'; remove the folder, and it is unpacked again"
        # Unpacked elsewhere and moved, so that an interrupted run leaves nothing that looks complete.
        partial=$servers/.$name.partial
        trap 'rm -rf "$partial"' EXIT
        rm -rf "$partial"
        mkdir "$partial"
        unpack "$partial"
        mv "$partial" "$folder"
    fi
fi
printf '%s\n' "$folder"
