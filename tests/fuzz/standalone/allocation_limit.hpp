// No single allocation may be larger than its input allows.
#pragma once

#include <sanitizer/allocator_interface.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace metascale::fuzz {

// While it lives, an allocation above constant + factor * size bytes ends the fuzzer as a crash.
class AllocationLimit {
 public:
  AllocationLimit(std::size_t constant, std::size_t factor, std::size_t size) {
    static const int installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    if (installed == 0) std::abort();
    most() = constant + factor * size;
  }
  ~AllocationLimit() { most() = none; }
  AllocationLimit(const AllocationLimit&) = delete;
  AllocationLimit& operator=(const AllocationLimit&) = delete;

 private:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  static std::size_t& most() {
    static std::size_t bytes = none;
    return bytes;
  }
  static void on_malloc(const volatile void*, std::size_t size) {
    if (size <= most()) return;
    std::fprintf(stderr, "an allocation of %zu bytes, above the limit of %zu for this input\n",
                 size, most());
    std::abort();
  }
  static void on_free(const volatile void*) {}
};

}  // namespace metascale::fuzz
