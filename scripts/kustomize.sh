#!/usr/bin/env bash
# Runs the kustomize that scripts/get-server.sh unpacks, for machines without kubectl.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
folder=$("$UPOOL_ROOT/scripts/get-server.sh" kustomize)
unpacked_command "$folder" usr/bin/kustomize
exec "${command[@]}" "$@"
