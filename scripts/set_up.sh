#!/usr/bin/env bash
# Installs the packages that are missing and builds one preset: what quickstart.sh and test.sh begin with.
# usage: scripts/set_up.sh [--help] [--program] [PRESET [CMAKE-OPTION...]]
#   --program      the program alone, without its tests and benchmarks
#   PRESET         release (the default), debug, asan-ubsan, tsan or cuda; built in build/PRESET
#   CMAKE-OPTION   handed to cmake, for example -DMETASCALE_SLOW_TESTS=ON
set -euo pipefail

only=()
target=()
if [ "${1:-}" = --program ]; then
  only=(--program)
  target=(--target metascale)
  shift
fi
case "${1:-}" in
  --help|-h) sed -n '2,6p' "$0" | sed 's/^# //'; exit 0 ;;
  -*) echo "set_up.sh: unknown option '$1'; see --help" >&2; exit 2 ;;
esac
preset=${1:-release}
[ $# -eq 0 ] || shift

cd "$(dirname "$0")/.."
scripts/install_dependencies.sh "${only[@]}"

# One compiler per core, and no more than memory has room for: about 1 GiB each.
jobs=$(nproc)
available=$(awk '/^MemAvailable:/ {print int($2 / 1048576)}' /proc/meminfo)
[ "$available" -ge "$jobs" ] || jobs=$((available > 0 ? available : 1))

cmake --preset "$preset" "$@"
cmake --build --preset "$preset" --parallel "$jobs" "${target[@]}"
