// Loops over the program's one pool of threads (OpenMP's, which oneDNN shares).
#pragma once

#include <cstdint>
#ifdef __SANITIZE_THREAD__
#include <thread>
#include <vector>
#endif

namespace metascale {

// Calls body(part, begin, end) on contiguous parts of [0, count), one part per thread; parts are
// numbered below `threads`, for what each has of its own. The parts depend on the number of
// threads: what body computes for an index must not depend on where its part begins.
template <typename Body>
void parallel_parts(int threads, std::int64_t count, Body&& body) {
  if (count <= 0) return;
  if (threads <= 1 || count == 1) return body(0, std::int64_t(0), count);
  const auto do_part = [&](int part) {
    const std::int64_t begin = count * part / threads, end = count * (part + 1) / threads;
    if (begin < end) body(part, begin, end);
  };
#ifdef __SANITIZE_THREAD__  // ThreadSanitizer cannot see how libgomp's threads wait for each other
  std::vector<std::jthread> others;
  for (int part = 1; part < threads; ++part) others.emplace_back(do_part, part);
  do_part(0);
#else
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int part = 0; part < threads; ++part) do_part(part);
#endif
}

// The same without the number: body(begin, end).
template <typename Body>
void parallel_for(int threads, std::int64_t count, Body&& body) {
  parallel_parts(threads, count,
                 [&](int, std::int64_t begin, std::int64_t end) { body(begin, end); });
}

}  // namespace metascale
