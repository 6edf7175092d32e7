// Loops over the program's one pool of threads (OpenMP's, which oneDNN shares).
#pragma once

#include <cstdint>

namespace metascale {

// Calls body(begin, end) on contiguous parts of [0, count), one part per thread. The parts depend
// on the number of threads: what body computes for an index must not depend on where its part
// begins.
template <typename Body>
void parallel_for(int threads, std::int64_t count, Body&& body) {
  if (count <= 0) return;
  if (threads <= 1 || count == 1) return body(std::int64_t(0), count);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int part = 0; part < threads; ++part) {
    const std::int64_t begin = count * part / threads, end = count * (part + 1) / threads;
    if (begin < end) body(begin, end);
  }
}

}  // namespace metascale
