#!/usr/bin/env bash
# Installs the Debian packages that metascale needs, and says which were missing. Root or sudo.
# usage: scripts/install_dependencies.sh [--help] [--program] [--analysis] [--check]
#   --program    those that the program needs; without it those of the tests too
#   --analysis   also what only `./test.sh --all` needs: static analysis and valgrind
#   --check      only says what is missing; exit code 69 if anything is
set -euo pipefail

packages=(
  build-essential cmake ninja-build pkg-config ccache python3 zstd git ca-certificates   # to build
  libhdf5-dev libyaml-cpp-dev libfmt-dev libspdlog-dev libcli11-dev nlohmann-json3-dev
  libeigen3-dev libdnnl-dev ocl-icd-opencl-dev libzstd-dev libsimdjson-dev libxxhash-dev libceres-dev catch2
  libopenmpi-dev openmpi-bin                                                  # ranks of one run
  gnuplot-nox fonts-dejavu-core librsvg2-bin                                  # figures
  libjs-chart.js                                                              # charts of the page
)
for_tests=(
  munge slurm-client slurmctld slurmd slurm-wlm-basic-plugins                 # tests run a real Slurm
  clang libclang-rt-14-dev                                                    # fuzzers (libFuzzer)
  python3-h5py python3-numpy                                                  # tests open logs
  chromium chromium-driver python3-selenium                                   # a test uses the page
)
for_analysis=(
  clang-format clang-tidy libomp-dev cppcheck                                 # clang asks for its own omp.h
  valgrind libc6-dbg                                                          # without libc's names it cannot start
  qemu-user                                                                   # an older processor
)

check=no
tests=yes
analysis=no
for argument in "$@"; do
  case "$argument" in
    --help|-h) sed -n '2,6p' "$0" | sed 's/^# //'; exit 0 ;;
    --program) tests=no ;;
    --analysis) analysis=yes ;;
    --check) check=yes ;;
    *) echo "install_dependencies.sh: unknown option '$argument'; see --help" >&2; exit 2 ;;
  esac
done
[ "$tests" = no ] || packages+=("${for_tests[@]}")
[ "$analysis" = no ] || packages+=("${for_analysis[@]}")

if ! command -v dpkg-query >/dev/null; then
  echo "install_dependencies.sh: this is not a Debian system; install the counterparts of: ${packages[*]}" >&2
  exit 69
fi
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then echo "dependencies: all ${#packages[@]} packages are installed"; exit 0; fi
echo "dependencies: missing ${missing[*]}"
[ "$check" = no ] || exit 69

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install_dependencies.sh: needs root or sudo to install them" >&2; exit 69; }
  as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "dependencies: installed ${#missing[@]} packages"
