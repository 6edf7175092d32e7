// Attention on the CPU: threads share the heads of all sequences. The bf16 flag is not used here:
// f32 products of such small tiles are as fast, and more exact.
#include "kernels/attention.hpp"

#include "core/parallel.hpp"
#include "kernels/cpu/attention_tiles.hpp"
#include "kernels/instructions.hpp"

namespace metascale {
namespace {

template <typename T>
const AttentionLoops<T>& loops_for(const CpuQueue& queue) {
  if constexpr (std::is_same_v<T, float>) {
    const Simd level = chosen_simd(queue.simd);
    if (level == Simd::avx512) return attention_avx512();
    if (level == Simd::avx2) return attention_avx2();
    return attention_loops<float, 4>;
  } else {
    return attention_loops<double, 2>;
  }
}

struct HeadAt {
  std::int64_t batch, head;
};

// Calls body(at, room) for every head of every sequence of a (B, T, H, N) tensor.
template <typename T, typename Body>
void for_heads(CpuQueue& queue, const Shape& BTHN, Body&& body) {
  const std::int64_t elements = attention_room(BTHN[3]), H = BTHN[2];
  const std::size_t bytes = std::size_t(queue.threads * elements) * sizeof(T);
  T* rooms = reinterpret_cast<T*>(queue.memory().take(KeptMemory::body_slot, bytes));
  parallel_parts(queue.threads, BTHN[0] * H, [&](int part, std::int64_t begin, std::int64_t end) {
    for (std::int64_t item = begin; item < end; ++item)
      body(HeadAt{item / H, item % H}, rooms + part * elements);
  });
}

template <typename T>
AttentionRows<T> rows_of(const Tensor& tensor, const HeadAt& at) {
  const std::int64_t T_ = tensor.shape[1], H = tensor.shape[2], N = tensor.shape[3];
  return {tensor.pointer<T>() + (at.batch * T_ * H + at.head) * N, H * N};
}

template <typename T>
T* statistics_of(const Tensor& lse, const HeadAt& at) {
  return lse.pointer<T>() + (at.batch * lse.shape[1] + at.head) * lse.shape[2];
}

const std::int32_t* first_keys(const Tensor& first, const HeadAt& at) {
  return first.exists() ? first.pointer<std::int32_t>() + at.batch * first.shape[1] : nullptr;
}

}  // namespace

void AttentionForward::on(CpuQueue& queue) const {
  with_float_type(q.dtype, [&]<typename T>() {
    const auto& loops = loops_for<T>(queue);
    for_heads<T>(queue, q.shape, [&](const HeadAt& at, T* room) {
      loops.forward({.y = rows_of<T>(y, at),
                     .q = rows_of<T>(q, at),
                     .k = rows_of<T>(k, at),
                     .v = rows_of<T>(v, at),
                     .lse = statistics_of<T>(lse, at),
                     .first = first_keys(first, at),
                     .length = q.shape[1],
                     .keys = k.shape[1],
                     .size = q.shape[3],
                     .scale = T(scale)},
                    room);
    });
  });
}

void AttentionBackward::on(CpuQueue& queue) const {
  with_float_type(q.dtype, [&]<typename T>() {
    const auto& loops = loops_for<T>(queue);
    for_heads<T>(queue, q.shape, [&](const HeadAt& at, T* room) {
      loops.backward({.dq = {rows_of<T>(dq, at), dq.fresh},
                      .dk = {rows_of<T>(dk, at), dk.fresh},
                      .dv = {rows_of<T>(dv, at), dv.fresh},
                      .dy = rows_of<T>(dy, at),
                      .y = rows_of<T>(y, at),
                      .q = rows_of<T>(q, at),
                      .k = rows_of<T>(k, at),
                      .v = rows_of<T>(v, at),
                      .lse = statistics_of<T>(lse, at),
                      .first = first_keys(first, at),
                      .length = q.shape[1],
                      .size = q.shape[3],
                      .scale = T(scale)},
                     room);
    });
  });
}

}  // namespace metascale
