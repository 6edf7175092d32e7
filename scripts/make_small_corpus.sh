#!/usr/bin/env bash
# Makes corpora/small, text and token files, with the program in build/release, unless it is there.
# usage: scripts/make_small_corpus.sh [--help]
set -euo pipefail

case "${1:-}" in
  "") ;;
  --help|-h) sed -n '2,3p' "$0" | sed 's/^# //'; exit 0 ;;
  *) echo "make_small_corpus.sh: unknown option '$1'; see --help" >&2; exit 2 ;;
esac

cd "$(dirname "$0")/.."
# A split's .json is the last of its files that is written.
if [ -e corpora/small/train.json ] && [ -e corpora/small/validation.json ] &&
   [ -e corpora/small/test.json ]; then
  echo "corpus: corpora/small is there"
else
  build/release/metascale data corpus --tier small --out corpora/small
fi
