// Neighbours that one thread works on at once, read and stored 16 bytes at a time: a thread that
// moves one bf16 at a time leaves most of the memory's rate unused.
#pragma once

#include "kernels/cuda/storage.cuh"

namespace metascale::cuda {

inline constexpr int pack_width = 8;  // elements: 16 bytes of bf16

template <typename T, int Width>
struct Numbers {
  T of[Width];

  __device__ T& operator[](int i) { return of[i]; }
  __device__ const T& operator[](int i) const { return of[i]; }
};

// What value(w) gives for w of [0, Width).
template <int Width, typename Value>
__device__ auto numbers(Value&& value) {
  Numbers<decltype(value(0)), Width> result;
#pragma unroll
  for (int w = 0; w < Width; ++w) result[w] = value(w);
  return result;
}

template <typename S, int Width>
struct alignas(Width * sizeof(S) < 16 ? Width * sizeof(S) : 16) Stored {
  S values[Width];
};

// Width > 1: `from` and `to` must be aligned to min(16, Width sizeof(S)) bytes.
template <typename T, int Width, typename S>
__device__ Numbers<T, Width> read(const S* from) {
  const auto stored = *reinterpret_cast<const Stored<S, Width>*>(from);
  return numbers<Width>([&](int w) { return T(stored.values[w]); });
}

template <typename S, typename T, int Width>
__device__ void store(S* to, const Numbers<T, Width>& numbers) {
  Stored<S, Width> rounded;
#pragma unroll
  for (int w = 0; w < Width; ++w) rounded.values[w] = stored<S>(numbers[w]);
  *reinterpret_cast<Stored<S, Width>*>(to) = rounded;
}

// As add_to of one element [storage.cuh].
template <typename S, typename T, int Width>
__device__ void add_to(S* to, const Numbers<T, Width>& gradient, bool fresh) {
  if (fresh) return store(to, gradient);
  const auto before = read<T, Width>(to);
  store(to, numbers<Width>([&](int w) { return before[w] + gradient[w]; }));
}

// Elements from i on of what may be stored in S or in T.
template <int Width, typename S, typename T>
__device__ Numbers<T, Width> read(const EitherOf<S, T>& from, std::int64_t i) {
  return from.wide ? read<T, Width>(from.wide + i) : read<T, Width>(from.narrow + i);
}

// Whether packs of any of these may be read; an operand that was left out does not count.
template <typename... Tensors>
bool are_aligned(const Tensors&... tensors) {
  return ((reinterpret_cast<std::uintptr_t>(tensors.data) % 16 == 0) && ...);
}

// The same of tensors whose rows have this many elements: none of a pack's may lie in another row.
template <typename... Tensors>
bool has_packed_rows(std::int64_t row_elements, const Tensors&... tensors) {
  return row_elements % pack_width == 0 && are_aligned(tensors...);
}

}  // namespace metascale::cuda
