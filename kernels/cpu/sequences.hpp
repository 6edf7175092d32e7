// Tokens of sequences and what stands before each.
#pragma once

#include "core/tensor.hpp"
#include "kernels/documents.hpp"

namespace metascale {

template <typename T>
struct Sequences {
  const T* x;
  const T* previous;  // nullptr: zero
  Documents documents;
  std::int64_t D;

  // The token before row r of (B*T); nullptr where that is zero.
  const T* before(std::int64_t r) const {
    if (documents.starts(r)) return nullptr;
    if (r % documents.length != 0) return x + (r - 1) * D;
    return previous == nullptr ? nullptr : previous + r / documents.length * D;
  }
};

// x (B, T, D); previous (B, D) and first (B, T) i32 may be left out.
template <typename T>
Sequences<T> sequences(const Tensor& x, const Tensor& previous, const Tensor& first) {
  return {x.pointer<T>(),
          previous.pointer<T>(),
          {first.pointer<std::int32_t>(), x.shape[1]},
          x.shape[2]};
}

}  // namespace metascale
