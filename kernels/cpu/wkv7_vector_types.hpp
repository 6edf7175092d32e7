// Vectors of `Lanes` floats (GCC's and Clang's vector extension: what they become is decided by the file
// that includes this), and the exchanges of lanes that the WKV7 scans need. All in an unnamed namespace: see
// wkv7_vector.hpp.
#pragma once

#include <cstdint>
#include <utility>

namespace metascale {
namespace {

constexpr int chunk = 16;     // wkv7_checkpoint
constexpr float decay_rate = 0.6065306597126334f;  // e^{-1/2}

template <int Lanes>
struct VectorTypes {
  typedef float Value __attribute__((vector_size(Lanes * sizeof(float))));
  typedef float Memory
      __attribute__((vector_size(Lanes * sizeof(float)), aligned(alignof(float)), may_alias));
};
template <int Lanes>
using Vector = typename VectorTypes<Lanes>::Value;

template <int Lanes>
[[gnu::always_inline]] inline Vector<Lanes> load(const float* from) {
  return *reinterpret_cast<const typename VectorTypes<Lanes>::Memory*>(from);
}
template <int Lanes>
[[gnu::always_inline]] inline void store(float* to, Vector<Lanes> value) {
  *reinterpret_cast<typename VectorTypes<Lanes>::Memory*>(to) = value;
}

// Lanes l of the result, by bit Step of l:  exchange_low: a[l] or b[l - Step];  exchange_high: a[l + Step]
// or b[l]. Their use for all powers Step < Lanes transposes, and sums across lanes.
template <int Lanes, int Step, int... Lane>
[[gnu::always_inline]] inline Vector<Lanes> exchange_low(Vector<Lanes> a, Vector<Lanes> b,
                                                         std::integer_sequence<int, Lane...>) {
  return __builtin_shufflevector(a, b, ((Lane & Step) ? Lanes + Lane - Step : Lane)...);
}
template <int Lanes, int Step, int... Lane>
[[gnu::always_inline]] inline Vector<Lanes> exchange_high(Vector<Lanes> a, Vector<Lanes> b,
                                                          std::integer_sequence<int, Lane...>) {
  return __builtin_shufflevector(a, b, ((Lane & Step) ? Lanes + Lane : Lane + Step)...);
}

// rows[0] = vector whose lane l is the sum of rows[l].
template <int Lanes, int Step = Lanes / 2>
[[gnu::always_inline]] inline void sum_lanes(Vector<Lanes> (&rows)[Lanes]) {
  constexpr auto lanes = std::make_integer_sequence<int, Lanes>();
#pragma GCC unroll 8
  for (int row = 0; row < Step; ++row)
    rows[row] = exchange_low<Lanes, Step>(rows[row], rows[row + Step], lanes) +
                exchange_high<Lanes, Step>(rows[row], rows[row + Step], lanes);
  if constexpr (Step > 1) sum_lanes<Lanes, Step / 2>(rows);
}

template <int Lanes, int Step = Lanes / 2>
[[gnu::always_inline]] inline void transpose_rows(Vector<Lanes> (&rows)[Lanes]) {
  constexpr auto lanes = std::make_integer_sequence<int, Lanes>();
#pragma GCC unroll 16
  for (int row = 0; row < Lanes; ++row) {
    if (row & Step) continue;
    const Vector<Lanes> a = rows[row], b = rows[row + Step];
    rows[row] = exchange_low<Lanes, Step>(a, b, lanes);
    rows[row + Step] = exchange_high<Lanes, Step>(a, b, lanes);
  }
  if constexpr (Step > 1) transpose_rows<Lanes, Step / 2>(rows);
}

}  // namespace
}  // namespace metascale
