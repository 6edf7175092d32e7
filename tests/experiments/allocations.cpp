#include "tests/experiments/allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::int64_t> count = 0;
std::atomic<std::size_t> largest = 0;

}  // namespace

void* operator new(std::size_t bytes) {
  ++count;
  for (std::size_t seen = largest; seen < bytes && !largest.compare_exchange_weak(seen, bytes);) {
  }
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
// Ours too: else under a sanitizer its own would be freed by ours.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept try {
  return operator new(bytes);
} catch (const std::bad_alloc&) {
  return nullptr;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace metascale::testing {

Allocations take_allocations() {
  return {.count = ::count.exchange(0), .largest = ::largest.exchange(0)};
}

}  // namespace metascale::testing
