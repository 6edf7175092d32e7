#!/usr/bin/env bash
# Packs the CUDA program, and the tests labelled gpu, with the shared libraries that they need, into one
# folder that runs on another Linux with an NVIDIA driver and the CUDA 13 libraries; the scripts that time
# peers go with them.
# usage: scripts/make_bundle.sh [--help] [FOLDER [CMAKE-OPTION...]]
#   FOLDER         made new; default build/bundle
#   CMAKE-OPTION   handed to cmake, for example -DCMAKE_CUDA_ARCHITECTURES=90a-real
set -euo pipefail

case "${1:-}" in
  --help|-h) sed -n '2,7p' "$0" | sed 's/^# //'; exit 0 ;;
  -*) echo "make_bundle.sh: unknown option '$1'; see --help" >&2; exit 2 ;;
esac
most_bytes=$((60 * 1024 * 1024))

cd "$(dirname "$0")/.."
folder=${1:-build/bundle}
[ $# -eq 0 ] || shift
if [ -e "$folder" ]; then
  echo "make_bundle.sh: $folder is there already; remove it or name another folder" >&2
  exit 2
fi
if ! command -v nvcc > /dev/null; then
  echo "make_bundle.sh: needs nvcc 13 or later, and none was found; put it on PATH" >&2
  exit 69
fi

# The old kind of RPATH also holds for the libraries that libraries need.
build=build/cuda-bundle
cmake --preset cuda -B "$build" -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON '-DCMAKE_INSTALL_RPATH=$ORIGIN/../lib' \
  -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags '-DMETASCALE_TEST_ROOMS=cuda_emulator;ranks' "$@"
tests=(metascale_test_gpu metascale_test_nccl)
cmake --build "$build" --target metascale "${tests[@]}"

# What every Linux has, and what belongs to the driver and to CUDA, stays behind.
needed_of() {
  ldd "$1" | awk '$2 == "=>" && $3 ~ /^\// {print $3}' |
    grep -Ev '/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|util)\.so[^/]*)$' |
    grep -Ev '/lib(cuda|cudart|cublas|cublasLt|cudnn[^/]*|nccl|nvidia[^/]*|nvrtc[^/]*|nvJitLink)\.so[^/]*$' || true
}

# Packed: the libraries alone are 80 MiB, and 22 MiB packed.
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
mkdir "$unpacked/bin" "$unpacked/lib"
for program in metascale "${tests[@]}"; do
  program=$(find "$build" -name "$program" -type f -perm -u+x -print -quit)
  cp "$program" "$unpacked/bin/"
  needed_of "$program" | while read -r library; do cp -n "$library" "$unpacked/lib/"; done
done
strip --strip-unneeded "$unpacked"/bin/* "$unpacked"/lib/*
mkdir -p "$folder"
tar -C "$unpacked" -cf - bin lib | xz -T0 > "$folder/program.tar.xz"
cp scripts/run_gpu_tests.sh scripts/run_gpu_study.py "$folder/"
mkdir "$folder/gpu_study" "$folder/peers"
cp scripts/gpu_study/*.py "$folder/gpu_study/"
cp bench/peers/*.py bench/peers/README.md "$folder/peers/"

bytes=$(du -sb "$folder" | cut -f1)
echo "$folder: $((bytes / 1048576)) MiB; unpacked $(($(du -sb "$unpacked" | cut -f1) / 1048576)) MiB"
if [ "$bytes" -gt "$most_bytes" ]; then
  echo "make_bundle.sh: that is more than 60 MiB; leave out architectures: -DCMAKE_CUDA_ARCHITECTURES=90a-real" >&2
  exit 1
fi
