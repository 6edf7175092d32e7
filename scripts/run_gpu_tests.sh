#!/usr/bin/env bash
# In a bundle (scripts/make_bundle.sh), on a machine with a GPU: unpacks it where that is not done yet, then runs the
# tests labelled gpu and prints every operator's distance from the CPU, its time and its share of the bound.
# usage: ./run_gpu_tests.sh [--help] [--sanitize]
#   --sanitize   the tests once more under compute-sanitizer: memcheck, then racecheck
set -uo pipefail

case "${1:-}" in
  --help|-h) sed -n '2,5p' "$0" | sed 's/^# //'; exit 0 ;;
  ''|--sanitize) ;;
  *) echo "run_gpu_tests.sh: unknown option '$1'; see --help" >&2; exit 2 ;;
esac

cd "$(dirname "$0")" || exit 74
if [ ! -d bin ] && ! tar -xJf program.tar.xz; then
  echo "run_gpu_tests.sh: program.tar.xz could not be unpacked; is there space, and xz?" >&2
  exit 74
fi
bin=$PWD/bin
# Some libraries look for theirs at a place of their own (OpenMPI's): here they lie all together.
export LD_LIBRARY_PATH="$PWD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
for folder in /usr/local/cuda/lib64 /usr/local/cuda/targets/x86_64-linux/lib; do
  [ ! -d "$folder" ] || export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"
done
missing=$(ldd "$bin"/metascale* | grep 'not found' | sort -u)
if [ -n "$missing" ]; then
  printf 'run_gpu_tests.sh: these libraries are missing; add their folder to LD_LIBRARY_PATH:\n%s\n' "$missing" >&2
  exit 69
fi

failed=()
run() {  # name, command...
  echo "== $1"
  "${@:2}" || failed+=("$1")
  echo
}

if command -v nvidia-smi > /dev/null; then
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
fi
run "tests" "$bin/metascale_test_gpu" --durations yes
run "one GPU as a communicator" "$bin/metascale_test_nccl"
run "operators in f32" "$bin/metascale" bench gpu --check --f32
run "operators in bf16, and steps" "$bin/metascale" bench gpu
if [ "${1:-}" = --sanitize ]; then
  if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck; do
      run "tests under $tool" compute-sanitizer --tool "$tool" --error-exitcode 1 "$bin/metascale_test_gpu"
    done
  else
    failed+=("compute-sanitizer is not on PATH: not run")
  fi
fi

if [ "${#failed[@]}" -gt 0 ]; then
  printf 'FAILED: %s\n' "${failed[@]}" >&2
  exit 1
fi
echo "all passed"
