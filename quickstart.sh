#!/usr/bin/env bash
# From a clone to a first report: installs what is missing, builds, makes the small corpus (Debian
# packages, 41 MB to download), trains the models of sweeps/quick.yaml and says where the report is.
# What is done already is not done again.
# usage: ./quickstart.sh [--help]
set -euo pipefail

case "${1:-}" in
  "") ;;
  --help|-h) sed -n '2,5p' "$0" | sed 's/^# //'; exit 0 ;;
  *) echo "quickstart.sh: unknown option '$1'; see --help" >&2; exit 2 ;;
esac

cd "$(dirname "$0")"
scripts/set_up.sh --program release

metascale=build/release/metascale
scripts/make_small_corpus.sh

# It ends with the report. Exit code 3: some runs failed; the report shows which and why, and the
# code is passed on.
code=0
"$metascale" run sweeps/quick.yaml || code=$?
[ "$code" -eq 0 ] || [ "$code" -eq 3 ] || exit "$code"

echo
echo "The report is $PWD/results/quick/report/report.html"
exit "$code"
