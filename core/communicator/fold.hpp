// Element-wise sum or maximum of what the ranks have, in the order of ranks.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "core/communicator.hpp"

namespace metascale {

// Sums of floating point are made in f64 and rounded once; those of integers wrap as int32 does.
template <typename T>
using FoldSum = std::conditional_t<std::is_same_v<T, std::int32_t>, std::int64_t, double>;

template <typename T>
T rounded(FoldSum<T> sum) {
  if constexpr (std::is_same_v<T, bfloat16>)
    return bfloat16(float(sum));
  else
    return T(sum);
}

// A NaN of any rank wins.
template <typename Sum>
Sum folded(Sum sum, Sum term, Reduction reduction) {
  if (reduction == Reduction::sum) return sum + term;
  return term > sum || term != term ? term : sum;  // NOLINT(misc-redundant-expression): a NaN
}

// out[i] of terms[rank][i]; out may be one of the terms.
template <typename T>
void fold(const std::vector<const void*>& terms, Reduction reduction, std::int64_t count,
          void* out) {
  constexpr std::int64_t block = 1024;
  std::array<FoldSum<T>, block> sums;
  for (std::int64_t begin = 0; begin < count; begin += block) {
    const std::int64_t size = std::min(block, count - begin);
    for (std::size_t rank = 0; rank < terms.size(); ++rank) {
      const T* term = static_cast<const T*>(terms[rank]) + begin;
      for (std::int64_t i = 0; i < size; ++i) {
        const auto value = FoldSum<T>(term[i]);
        auto& sum = sums[std::size_t(i)];
        sum = rank == 0 ? value : folded(sum, value, reduction);
      }
    }
    T* target = static_cast<T*>(out) + begin;
    for (std::int64_t i = 0; i < size; ++i) target[i] = rounded<T>(sums[std::size_t(i)]);
  }
}

inline void fold(Dtype dtype, const std::vector<const void*>& terms, Reduction reduction,
                 std::int64_t count, void* out) {
  switch (dtype) {
    case Dtype::f32: return fold<float>(terms, reduction, count, out);
    case Dtype::f64: return fold<double>(terms, reduction, count, out);
    case Dtype::bf16: return fold<bfloat16>(terms, reduction, count, out);
    case Dtype::i32: return fold<std::int32_t>(terms, reduction, count, out);
  }
}

}  // namespace metascale
