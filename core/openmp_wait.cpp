#include "core/openmp_wait.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

namespace metascale {

void shorten_openmp_waits(char* const argv[]) {
  if (::getenv("OMP_WAIT_POLICY") || ::getenv("GOMP_SPINCOUNT")) return;
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error || ::setenv("GOMP_SPINCOUNT", "3000", 1) != 0) return;
  ::execv(program.c_str(), argv);
}

}  // namespace metascale
