// Vectors of `Lanes` numbers (GCC's and Clang's vector extension: what they become is decided by
// the file that includes this), their exchanges of lanes and e^x. For files that are compiled once
// per instruction set: all is in an unnamed namespace, so that each has its own copy, and nothing
// of the standard library is used whose copy the linker might keep for everybody.
#pragma once

#include <cstdint>
#include <utility>

namespace metascale {
namespace {

template <int Lanes, typename T = float>
struct VectorTypes {
  typedef T Value __attribute__((vector_size(Lanes * sizeof(T))));
  typedef T Memory __attribute__((vector_size(Lanes * sizeof(T)), aligned(alignof(T)), may_alias));
};
template <int Lanes, typename T = float>
using Vector = typename VectorTypes<Lanes, T>::Value;

template <int Lanes, typename T>
[[gnu::always_inline]] inline Vector<Lanes, T> load(const T* from) {
  return *reinterpret_cast<const typename VectorTypes<Lanes, T>::Memory*>(from);
}
template <int Lanes, typename T>
[[gnu::always_inline]] inline void store(T* to, Vector<Lanes, T> value) {
  *reinterpret_cast<typename VectorTypes<Lanes, T>::Memory*>(to) = value;
}

// Lanes l of the result, by bit Step of l:  exchange_low: a[l] or b[l - Step];  exchange_high: a[l
// + Step] or b[l]. Their use for all powers Step < Lanes transposes, and sums across lanes.
template <int Lanes, int Step, typename V, int... Lane>
[[gnu::always_inline]] inline V exchange_low(V a, V b, std::integer_sequence<int, Lane...>) {
  return __builtin_shufflevector(a, b, ((Lane & Step) ? Lanes + Lane - Step : Lane)...);
}
template <int Lanes, int Step, typename V, int... Lane>
[[gnu::always_inline]] inline V exchange_high(V a, V b, std::integer_sequence<int, Lane...>) {
  return __builtin_shufflevector(a, b, ((Lane & Step) ? Lanes + Lane : Lane + Step)...);
}

template <int Lanes, int First, typename T, int... Lane>
[[gnu::always_inline]] inline Vector<Lanes / 2, T> half(Vector<Lanes, T> value,
                                                        std::integer_sequence<int, Lane...>) {
  return __builtin_shufflevector(value, value, (First + Lane)...);
}
template <int Lanes, typename T = float>
[[gnu::always_inline]] inline Vector<Lanes / 2, T> low_half(Vector<Lanes, T> value) {
  return half<Lanes, 0, T>(value, std::make_integer_sequence<int, Lanes / 2>());
}
template <int Lanes, typename T = float>
[[gnu::always_inline]] inline Vector<Lanes / 2, T> high_half(Vector<Lanes, T> value) {
  return half<Lanes, Lanes / 2, T>(value, std::make_integer_sequence<int, Lanes / 2>());
}

// 0, 1, 2, ...
template <typename V, int... Lane>
[[gnu::always_inline]] inline V ascending(std::integer_sequence<int, Lane...>) {
  return V{Lane...};
}

template <int Lanes, typename T>
[[gnu::always_inline]] inline T sum_of_lanes(Vector<Lanes, T> value) {
  if constexpr (Lanes == 2)
    return value[0] + value[1];
  else
    return sum_of_lanes<Lanes / 2, T>(low_half<Lanes, T>(value) + high_half<Lanes, T>(value));
}

template <int Lanes, typename T>
[[gnu::always_inline]] inline T largest_lane(Vector<Lanes, T> value) {
  if constexpr (Lanes == 2) {
    return value[0] > value[1] ? value[0] : value[1];
  } else {
    const auto a = low_half<Lanes, T>(value), b = high_half<Lanes, T>(value);
    return largest_lane<Lanes / 2, T>(a > b ? a : b);
  }
}

// rows[0] = vector whose lane l is the sum of rows[l].
template <int Lanes, int Step = Lanes / 2, typename V>
[[gnu::always_inline]] inline void sum_lanes(V (&rows)[Lanes]) {
  constexpr auto lanes = std::make_integer_sequence<int, Lanes>();
#pragma GCC unroll 8
  for (int row = 0; row < Step; ++row)
    rows[row] = exchange_low<Lanes, Step>(rows[row], rows[row + Step], lanes) +
                exchange_high<Lanes, Step>(rows[row], rows[row + Step], lanes);
  if constexpr (Step > 1) sum_lanes<Lanes, Step / 2>(rows);
}

template <int Lanes, int Step = Lanes / 2, typename V>
[[gnu::always_inline]] inline void transpose_rows(V (&rows)[Lanes]) {
  constexpr auto lanes = std::make_integer_sequence<int, Lanes>();
#pragma GCC unroll 16
  for (int row = 0; row < Lanes; ++row) {
    if (row & Step) continue;
    const V a = rows[row], b = rows[row + Step];
    rows[row] = exchange_low<Lanes, Step>(a, b, lanes);
    rows[row + Step] = exchange_high<Lanes, Step>(a, b, lanes);
  }
  if constexpr (Step > 1) transpose_rows<Lanes, Step / 2>(rows);
}

// Taylor's series of e^x from its 7th term down, by Horner; p: the 7th coefficient and what is
// above.
template <int Lanes>
[[gnu::always_inline]] inline Vector<Lanes> taylor(Vector<Lanes> p, Vector<Lanes> x) {
  p = p * x + 1.0f / 720;
  p = p * x + 1.0f / 120;
  p = p * x + 1.0f / 24;
  p = p * x + 1.0f / 6;
  p = p * x + 0.5f;
  p = p * x + 1.0f;
  return p * x + 1.0f;
}

// e^x for |x| <= 80, as kernels/cpu/vector_math.hpp does it: 2^n e^r, Taylor to r^7.
template <int Lanes>
[[gnu::always_inline]] inline Vector<Lanes> exponential(Vector<Lanes> x) {
  typedef std::int32_t Bits __attribute__((vector_size(Lanes * sizeof(std::int32_t))));
  constexpr float rounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Vector<Lanes> shifted = x * 1.44269504f + rounder, n = shifted - rounder;
  const Vector<Lanes> r = (x - n * 0.693145752f) - n * 1.42860677e-6f;  // ln 2 in two parts
  const Bits exponent = (reinterpret_cast<Bits>(shifted) << 23) + 0x3f800000;
  return taylor<Lanes>(Vector<Lanes>{} + 1.0f / 5040, r) *
         reinterpret_cast<Vector<Lanes>>(exponent);
}
template <int Lanes>
[[gnu::always_inline]] inline Vector<Lanes, double> exponential(Vector<Lanes, double> x) {
  for (int i = 0; i < Lanes; ++i) x[i] = __builtin_exp(x[i]);
  return x;
}

}  // namespace
}  // namespace metascale
