#include "kernels/cpu/convert.hpp"

#include "core/parallel.hpp"
#include "kernels/cpu/dispatch.hpp"

namespace metascale {
namespace {

template <typename To, typename From>
METASCALE_MULTIVERSION void convert_part(To* __restrict y, const From* __restrict x,
                                         std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    if constexpr (sizeof(To) < sizeof(float) || sizeof(From) < sizeof(float))
      y[i] = To(float(x[i]));
    else
      y[i] = To(x[i]);
  }
}

template <typename To, typename From>
void convert_all(To* y, const From* x, std::int64_t count, int threads) {
  parallel_for(threads, count, [&](std::int64_t begin, std::int64_t end) {
    convert_part(y + begin, x + begin, end - begin);
  });
}

}  // namespace

void convert(bfloat16* y, const float* x, std::int64_t count, int threads) {
  convert_all(y, x, count, threads);
}
void convert(bfloat16* y, const double* x, std::int64_t count, int threads) {
  convert_all(y, x, count, threads);
}
void convert(float* y, const bfloat16* x, std::int64_t count, int threads) {
  convert_all(y, x, count, threads);
}
void convert(double* y, const bfloat16* x, std::int64_t count, int threads) {
  convert_all(y, x, count, threads);
}
void convert(float* y, const double* x, std::int64_t count, int threads) {
  convert_all(y, x, count, threads);
}
void convert(double* y, const float* x, std::int64_t count, int threads) {
  convert_all(y, x, count, threads);
}

void round_to_bf16(bfloat16* y, const float* x, std::int64_t count, const Rounding& rounding,
                   int threads) {
  if (!rounding.stochastic) return convert(y, x, count, threads);
  parallel_for(threads, count, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) y[i] = rounding(x[i], i);
  });
}

const bfloat16* rounded(const Tensor& operand, bfloat16*& free, int threads) {
  if (operand.dtype == Dtype::bf16) return operand.pointer<bfloat16>();
  bfloat16* copy = free;
  convert(copy, operand.pointer<float>(), operand.size(), threads);
  free += operand.size();
  return copy;
}

}  // namespace metascale
