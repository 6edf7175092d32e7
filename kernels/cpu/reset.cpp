#include "kernels/reset.hpp"

#include <algorithm>

#include "core/parallel.hpp"

namespace metascale {
namespace {

// Calls body(begin, end, starts) for the elements of every token.
template <typename Body>
void for_tokens(int threads, const Tensor& first, std::int64_t elements, Body&& body) {
  const std::int64_t R = first.size(), length = first.shape[1], D = elements / R;
  const std::int32_t* positions = first.pointer<std::int32_t>();
  parallel_for(threads, R, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) body(r * D, (r + 1) * D, positions[r] == r % length);
  });
}

}  // namespace

void ResetForward::on(CpuQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    const T *from = x.pointer<T>(), at_starts = T(value);
    T* to = y.pointer<T>();
    for_tokens(queue.threads, first, x.size(),
               [&](std::int64_t begin, std::int64_t end, bool starts) {
                 if (starts)
                   std::fill(to + begin, to + end, at_starts);
                 else
                   std::copy(from + begin, from + end, to + begin);
               });
  });
}

void ResetBackward::on(CpuQueue& queue) const {
  with_float_type(dy.dtype, [&]<typename T>() {
    const T* from = dy.pointer<T>();
    T* to = dx.pointer<T>();
    for_tokens(queue.threads, first, dy.size(),
               [&](std::int64_t begin, std::int64_t end, bool starts) {
                 for (std::int64_t i = begin; i < end; ++i)
                   accumulate(to[i], starts ? T(0) : from[i], dx.fresh);
               });
  });
}

}  // namespace metascale
