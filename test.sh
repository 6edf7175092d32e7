#!/usr/bin/env bash
# Installs what is missing, builds the preset release, and runs all tests.
# usage: ./test.sh [--help] [--all] [CTEST-OPTION...]
#   --all          also the tests labelled slow, and first static analysis (scripts/analyse.sh) and all
#                  tests under AddressSanitizer with UndefinedBehaviorSanitizer and under ThreadSanitizer
#   CTEST-OPTION   handed to ctest, for example: -L kernels (one room), -R norm (by name)
set -euo pipefail

all=no
case "${1:-}" in
  --help|-h) sed -n '2,6p' "$0" | sed 's/^# //'; exit 0 ;;
  --all) all=yes; shift ;;
esac

cd "$(dirname "$0")"
slow=OFF
if [ "$all" = yes ]; then
  slow=ON
  scripts/analyse.sh
  for preset in asan-ubsan tsan; do
    scripts/set_up.sh "$preset"
    ctest --preset "$preset" --parallel "$(nproc)" "$@"
  done
fi
scripts/set_up.sh release "-DMETASCALE_SLOW_TESTS=$slow"
ctest --preset release --parallel "$(nproc)" "$@"
