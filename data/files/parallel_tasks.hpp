// Tasks of unequal length on several threads.
#pragma once

#include <atomic>
#include <exception>
#include <mutex>

#include "core/parallel.hpp"

namespace metascale {

// Calls body(task) for each task in [first, last), each thread taking the next one. What one throws
// is thrown here, when all threads have ended.
template <typename Body>
void run_tasks(int threads, std::int64_t first, std::int64_t last, Body&& body) {
  std::exception_ptr failure;  // an exception must not leave a parallel region
  std::mutex mutex;
  std::atomic<std::int64_t> next = first;
  parallel_for(threads, threads, [&](std::int64_t, std::int64_t) {
    try {
      for (std::int64_t task; (task = next++) < last;) body(task);
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  });
  if (failure) std::rethrow_exception(failure);
}

}  // namespace metascale
