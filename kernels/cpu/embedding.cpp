#include "kernels/embedding.hpp"

#include <algorithm>

#include "core/parallel.hpp"
#include "kernels/cpu/dispatch.hpp"

namespace metascale {
namespace {

template <typename T>
METASCALE_MULTIVERSION void add_row(T* __restrict to, const T* __restrict from,
                                    std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] += from[i];
}

}  // namespace

void EmbeddingForward::on(CpuQueue& queue) const {
  with_float_type(y.dtype, [&]<typename T>() {
    const std::int64_t D = weight.shape[1];
    const std::int32_t* token = tokens.pointer<std::int32_t>();
    const T* table = weight.pointer<T>();
    T* to = y.pointer<T>();
    parallel_for(queue.threads, tokens.size(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) std::copy_n(table + token[r] * D, D, to + r * D);
    });
  });
}

// Threads share the columns: each adds all rows in order, so equal tokens meet in the same order
// always.
void EmbeddingBackward::on(CpuQueue& queue) const {
  with_float_type(dy.dtype, [&]<typename T>() {
    const std::int64_t R = tokens.size(), V = dweight.shape[0], D = dweight.shape[1];
    const std::int32_t* token = tokens.pointer<std::int32_t>();
    const T* from = dy.pointer<T>();
    T* table = dweight.pointer<T>();
    parallel_for(queue.threads, D, [&](std::int64_t begin, std::int64_t end) {
      if (dweight.fresh)
        for (std::int64_t v = 0; v < V; ++v)
          std::fill(table + v * D + begin, table + v * D + end, T(0));
      for (std::int64_t r = 0; r < R; ++r)
        add_row(table + token[r] * D + begin, from + r * D + begin, end - begin);
    });
  });
}

}  // namespace metascale
