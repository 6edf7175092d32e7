#!/usr/bin/env bash
# In a bundle (scripts/make_bundle.sh), on a machine with a GPU: unpacks it where that is not done yet, then runs the
# tests labelled gpu, each in a process of its own, and prints every operator's distance from the CPU, its time and its
# share of the bound, and whole steps. What they print is kept in results/ beside this script.
# usage: ./run_gpu_tests.sh [--help] [--sanitize] [--all-sizes] [--peers]
#   --sanitize    the tests once more under compute-sanitizer: memcheck, then racecheck
#   --all-sizes   steps of models of all sizes, and not of 150M parameters alone: some minutes more
#   --peers       beside other people's kernels and programs, those that are there (peers/README.md)
# Environment: LD_LIBRARY_PATH, for libraries of CUDA that lie elsewhere; those of Python's wheels are found.
# PYTHON: that which has the peers' packages [python3].
set -uo pipefail

sanitize=no
peers=no
sizes=(--size 150M)
for option in "$@"; do
  case "$option" in
    --help|-h) sed -n '2,10p' "$0" | sed 's/^# //'; exit 0 ;;
    --sanitize) sanitize=yes ;;
    --all-sizes) sizes=() ;;
    --peers) peers=yes ;;
    *) echo "run_gpu_tests.sh: unknown option '$option'; see --help" >&2; exit 2 ;;
  esac
done

cd "$(dirname "$0")" || exit 74
if [ ! -d bin ] && ! tar -xJf program.tar.xz; then
  echo "run_gpu_tests.sh: program.tar.xz could not be unpacked; is there space, and xz?" >&2
  exit 74
fi
mkdir -p results || exit 74
bin=$PWD/bin
libraries_of_python=${LD_LIBRARY_PATH:-}
# Some libraries look for theirs at a place of their own (OpenMPI's): here they lie all together.
export LD_LIBRARY_PATH="$PWD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
wheels=$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))' 2> /dev/null)
for folder in /usr/local/cuda/lib64 /usr/local/cuda/targets/x86_64-linux/lib "$wheels"/nvidia/*/lib; do
  [ ! -d "$folder" ] || export LD_LIBRARY_PATH="$LD_LIBRARY_PATH:$folder"
done
missing=$(ldd "$bin"/metascale* 2>&1 | grep 'not found' | sort -u)
if [ -n "$missing" ]; then
  printf 'run_gpu_tests.sh: these are missing (a library: add its folder to LD_LIBRARY_PATH; a version of GLIBC: this Linux is too old):\n%s\n' "$missing" >&2
  exit 69
fi

failed=()
run() {  # name, seconds, command...
  echo "== $1"
  timeout "$2" "${@:3}" 2>&1 | tee "results/$1.txt"
  case "${PIPESTATUS[0]}" in
    0) ;;
    69) [[ $1 == peer:* ]] || failed+=("$1") ;;  # a peer that is absent was named
    124) failed+=("$1: not done within $2 s") ;;
    *) failed+=("$1") ;;
  esac
  echo
}

# A fault of the GPU ends all later work of its process: each test has its own, four at a time.
one_test() {  # name; TOOL: what it runs under
  local log begun=$SECONDS
  log="results/tests${TOOL:+.under}/$(printf '%s' "$1" | tr -c 'A-Za-z0-9' '-').txt"
  # Catch reads a name as a pattern.
  # shellcheck disable=SC2086
  timeout 120 $TOOL "$bin/metascale_test_gpu" "$(printf '%s' "$1" | sed 's/[],[*\\"~]/\\&/g')" > "$log" 2>&1
  case $? in
    0) printf 'passed  %3d s  %s\n' $((SECONDS - begun)) "$1" ;;
    77) printf 'skipped        %s\n' "$1" ;;
    *) printf 'FAILED  %3d s  %s: %s\n' $((SECONDS - begun)) "$1" "$log" ;;
  esac
}
run_tests() {  # name; TOOL
  echo "== $1"
  mkdir -p "results/tests${TOOL:+.under}"
  # shellcheck disable=SC2016
  "$bin/metascale_test_gpu" --list-test-names-only |
    xargs -d '\n' -P 4 -I '{}' bash -c 'one_test "$1"' - '{}' | tee "results/$1.txt"
  echo "$(grep -c '^passed' "results/$1.txt") passed, $(grep -c '^FAILED' "results/$1.txt") failed"
  while read -r line; do failed+=("$line"); done < <(grep '^FAILED' "results/$1.txt")
  [ -s "results/$1.txt" ] || failed+=("$1: there are none")
  echo
}
export -f one_test
export bin TOOL=

if command -v nvidia-smi > /dev/null; then
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
fi
reason=$("$bin/metascale" bench gpu --check --f32 --family elements 2>&1 > /dev/null)
if [ $? -eq 69 ]; then  # no GPU, a driver too old, no code for it
  echo "$reason" >&2
  exit 69
fi
run_tests tests
run "one GPU as a communicator" 120 "$bin/metascale_test_nccl"
run "operators in f32, distances" 120 "$bin/metascale" bench gpu --check --f32
run "operators in bf16" 180 "$bin/metascale" bench gpu --only operators
run "steps" $((${#sizes[@]} > 0 ? 180 : 900)) "$bin/metascale" bench gpu --only steps --steps 5 "${sizes[@]}"
if [ "$peers" = yes ]; then
  # Python keeps its own libraries: the bundle's are for the bundle's program.
  program=$PWD/peers/metascale
  printf '#!/bin/bash\nLD_LIBRARY_PATH=%q exec %q "$@"\n' "$LD_LIBRARY_PATH" "$bin/metascale" > "$program"
  chmod +x "$program"
  for peer in "fla_wkv7 --cuda" rwkv_lm_wkv7 "torch_gpt --cuda --size 150M" llm_c rwkv_lm_model; do
    read -ra words <<< "$peer"
    run "peer: ${words[0]}" 900 env LD_LIBRARY_PATH="$libraries_of_python" "${PYTHON:-python3}" \
      "peers/${words[0]}.py" --program "$program" "${words[@]:1}"
  done
fi
if [ "$sanitize" = yes ]; then
  if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck; do
      # Some tests ask for memory that no GPU has.
      TOOL="compute-sanitizer --tool $tool --report-api-errors no --error-exitcode 1" run_tests "tests under $tool"
    done
  else
    failed+=("compute-sanitizer is not on PATH: not run")
  fi
fi

if [ "${#failed[@]}" -gt 0 ]; then
  printf 'FAILED: %s\n' "${failed[@]#FAILED }" >&2
  exit 1
fi
echo "all passed"
