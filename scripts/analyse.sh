#!/usr/bin/env bash
# Static analysis: clang-format 14 says which tracked C++ files are not in the project's format; of the
# rooms' files clang-tidy (the checks of .clang-tidy) on all cores, and cppcheck (without what
# scripts/cppcheck_suppressions.txt names). CUDA's files are read by the first only. What clang-tidy
# found nothing in is not read again until it, a header of it, or what is asked changes.
# usage: scripts/analyse.sh [--help] [PATH...]
#   PATH   only files below it, or this file: core, data/bpe, kernels/cpu/norm.cpp ...
# Exit code 1: there are findings; what the tools said stands in build/release/analysis.
set -euo pipefail

case "${1:-}" in
  --help|-h) sed -n '2,8p' "$0" | sed 's/^# //'; exit 0 ;;
  -*) echo "analyse.sh: unknown option '$1'; see --help" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."
scripts/install_dependencies.sh --analysis

build=build/release
results=$build/analysis
cmake --preset release -DCMAKE_EXPORT_COMPILE_COMMANDS=ON >/dev/null
rm -rf "$results"
mkdir -p "$results/clang-tidy"

# Quick, so it comes first. What is not tracked, as generated files, is nobody's to format.
git ls-files -z -- "${@:-.}" >"$results/tracked"
{ grep -zE '\.(cpp|hpp|h|cu|cuh)$' "$results/tracked" || true; } |
  xargs -0 -r clang-format --dry-run -Werror 2>"$results/clang-format" || true
{ grep 'code should be clang-formatted' "$results/clang-format" || true; } |
  cut -d: -f1 | sort -u >"$results/unformatted"
of_format=$(wc -l <"$results/unformatted")
if [ "$of_format" -eq 0 ] && [ -s "$results/clang-format" ]; then cat "$results/clang-format" >&2; exit 70; fi
sed 's/$/: not in the format of .clang-format; clang-format -i mends it/' "$results/unformatted"

paths=("$@")
[ $# -gt 0 ] || paths=(core kernels data experiments sweeps analysis cli)
# Each file with the command that preprocesses it.
python3 - "$build/compile_commands.json" "${paths[@]%/}" >"$results/files" <<'PYTHON'
import json, os, shlex, sys
commands = {}
for entry in json.load(open(sys.argv[1])):
    words = shlex.split(entry["command"])
    out = words.index("-o")
    words[out:out + 2] = ["-E", "-P", "-C"]
    commands[os.path.relpath(entry["file"])] = shlex.join(words)
for file in sorted(commands):
    if any(file == p or file.startswith(p + "/") for p in sys.argv[2:]) and not file.startswith("kernels/cuda/"):
        print(file, commands[file], sep="\0", end="\0")
PYTHON
mapfile -d '' -t pairs <"$results/files"
files=()
for ((i = 0; i < ${#pairs[@]}; i += 2)); do files+=("${pairs[i]}"); done
if [ ${#files[@]} -eq 0 ]; then echo "analyse.sh: no C++ file is built from: ${paths[*]}" >&2; exit 2; fi

# The compiler's warnings are for the compiler: GCC's mean other things to clang. A function's paths
# are followed for 20,000 steps, not 225,000: that takes half the time.
tidy() {
  local log=$1/clang-tidy/${3//\//_}.txt clean
  clean=$2/analysed/$({ cat .clang-tidy kernels/.clang-tidy scripts/analyse.sh; clang-tidy --version; bash -c "$4"; } |
    sha256sum | cut -c1-64)
  : >"$log"
  [ ! -e "$clean" ] || return 0
  if clang-tidy -p "$2" --quiet --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-error \
    --extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang \
    --extra-arg=max-nodes=20000 "$3" >"$log" 2>&1; then
    : >"$clean"
  elif ! grep -q ': error: ' "$log"; then
    echo "$3: error: clang-tidy itself failed; see $log" >>"$log"
  fi
}
export -f tidy
mkdir -p "$build/analysed"
xargs -0 -P "$(nproc)" -n 2 bash -c 'tidy "$@"' _ "$results" "$build" <"$results/files"
# A header's finding is told with every file that includes it.
{ grep -hE ': (error|warning): ' "$results"/clang-tidy/*.txt || true; } |
  sed "s#^$PWD/##" | sort -u >"$results/findings"
of_tidy=$(wc -l <"$results/findings")

# cppcheck 2.10 cannot read C++20's lambdas with a template list.
mapfile -t readable < <(grep -L ']<typename' "${files[@]}")
code=0
[ ${#readable[@]} -eq 0 ] ||
  printf '%s\n' "${readable[@]}" | cppcheck --file-list=- --quiet -j "$(nproc)" \
    --std=c++20 --language=c++ -I . -D__linux__ -D__x86_64__ -DNDEBUG \
    '-DNLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(...)=' --library=posix,openmp \
    --enable=warning,performance,portability --suppressions-list=scripts/cppcheck_suppressions.txt \
    --template='{file}:{line}: {severity}: {message} [{id}]' --error-exitcode=1 \
    2>"$results/cppcheck" || code=$?
of_cppcheck=$(grep -cE ': (error|warning|performance|portability): ' "$results/cppcheck" || true)
[ "$code" -eq 0 ] || [ "$of_cppcheck" -gt 0 ] || { cat "$results/cppcheck" >&2; exit 70; }

cat "$results/findings"
[ ! -s "$results/cppcheck" ] || cat "$results/cppcheck"
echo "clang-format: $of_format files to format"
echo "clang-tidy: ${#files[@]} files, $of_tidy findings"
echo "cppcheck:   ${#readable[@]} files, $of_cppcheck findings"
[ $((of_format + of_tidy + of_cppcheck)) -eq 0 ]
