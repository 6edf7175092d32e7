// Vectors of `Lanes` floats (GCC's and Clang's vector extension: what they become is decided by the
// file that includes this), the exchanges of lanes and the decays that the WKV7 scans need. All in
// an unnamed namespace: see wkv7_vector.hpp.
#pragma once

#include <cstdint>
#include <utility>

namespace metascale {
namespace {

constexpr int chunk = 16;                          // tokens: wkv7_checkpoint
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

// Lanes l of the result, by bit Step of l:  exchange_low: a[l] or b[l - Step];  exchange_high: a[l
// + Step] or b[l]. Their use for all powers Step < Lanes transposes, and sums across lanes.
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

template <int Lanes, int First, int... Lane>
[[gnu::always_inline]] inline Vector<Lanes / 2> half(Vector<Lanes> value,
                                                     std::integer_sequence<int, Lane...>) {
  return __builtin_shufflevector(value, value, (First + Lane)...);
}
template <int Lanes>
[[gnu::always_inline]] inline Vector<Lanes / 2> low_half(Vector<Lanes> value) {
  return half<Lanes, 0>(value, std::make_integer_sequence<int, Lanes / 2>());
}
template <int Lanes>
[[gnu::always_inline]] inline Vector<Lanes / 2> high_half(Vector<Lanes> value) {
  return half<Lanes, Lanes / 2>(value, std::make_integer_sequence<int, Lanes / 2>());
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

template <int Lanes>
[[gnu::always_inline]] inline Vector<Lanes> taylor(Vector<Lanes> x) {  // of e^x, to x^7
  Vector<Lanes> p = x * (1.0f / 5040) + 1.0f / 720;
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
  return taylor<Lanes>(r) * reinterpret_cast<Vector<Lanes>>(exponent);
}

// e^{-rate sigma}: to the 9th power the series needs no range reduction, and it is 1 where sigma is
// 0.
template <int Lanes>
[[gnu::always_inline]] inline Vector<Lanes> decay_of(Vector<Lanes> sigma) {
  const Vector<Lanes> x = sigma * -decay_rate;
  Vector<Lanes> p = x * (1.0f / 362880) + 1.0f / 40320;
  p = p * x + 1.0f / 5040;
  p = p * x + 1.0f / 720;
  p = p * x + 1.0f / 120;
  p = p * x + 1.0f / 24;
  p = p * x + 1.0f / 6;
  p = p * x + 0.5f;
  p = p * x + 1.0f;
  return p * x + 1.0f;
}

// w of one token, and dw/dd where slope is not nullptr.
template <int Lanes, int N>
void decays(const float* d, float* w, float* slope) {
  constexpr float largest = 80;                 // beyond it, w is 1 or its least value to the bit
  constexpr float infinity = __builtin_inff();  // for which w is 0
  for (int j = 0; j < N; j += Lanes) {
    const Vector<Lanes> logit = load<Lanes>(d + j);
    Vector<Lanes> x = -logit;
    x = x > largest ? Vector<Lanes>{} + largest : x;
    x = x < -largest ? Vector<Lanes>{} - largest : x;
    const Vector<Lanes> e = exponential<Lanes>(x), sigma = 1.0f / (1.0f + e);
    const Vector<Lanes> decay = logit == infinity ? Vector<Lanes>{} : decay_of<Lanes>(sigma);
    store<Lanes>(w + j, decay);
    // 1 - sigma = e sigma, without cancellation
    if (slope) store<Lanes>(slope + j, sigma * sigma * e * decay * -decay_rate);
  }
}

}  // namespace
}  // namespace metascale
