#!/usr/bin/env bash
# Measures rent and return of HikariCP from Debian's package, for the part "pool".
set -euo pipefail
# shellcheck source=../../scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

readonly LIBRARIES=/usr/share/java/HikariCP.jar:/usr/share/java/slf4j-api.jar:/usr/share/java/slf4j-nop.jar
readonly PACKAGES=(libhikaricp-java default-jdk-headless)

[[ $# == 2 ]] || die 2 "Usage: $0 ROUNDS FILE"
if [[ ! -e ${LIBRARIES%%:*} ]] || ! command -v javac >/dev/null; then
    [[ $(id -u) == 0 ]] || die 1 "HikariCP or a JDK is missing: apt-get install ${PACKAGES[*]}"
    say "Installing Debian's ${PACKAGES[*]}…"
    { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
        "${PACKAGES[@]}"; } >/dev/null 2>&1 || die 1 "could not be installed: apt-get install ${PACKAGES[*]}"
fi

mkdir -p "$(dirname -- "$2")" "$UPOOL_ROOT/.upool/bench/hikaricp"
javac --release 17 -cp "$LIBRARIES" -d "$UPOOL_ROOT/.upool/bench/hikaricp" "$UPOOL_ROOT"/bench/HikariCP/*.java
exec java -cp "$UPOOL_ROOT/.upool/bench/hikaricp:$LIBRARIES" RentAndReturn "$@"
