// The decays of WKV7 in vectors, for the files that are compiled once per instruction set.
#pragma once

#include <cstdint>

#include "kernels/cpu/vectors.hpp"

namespace metascale {
namespace {

constexpr int chunk = 16;                          // tokens: wkv7_checkpoint
constexpr float decay_rate = 0.6065306597126334f;  // e^{-1/2}

// e^{-rate sigma}: to the 9th power the series needs no range reduction, and it is 1 where sigma is
// 0.
template <int Lanes>
[[gnu::always_inline]] inline Vector<Lanes> decay_of(Vector<Lanes> sigma) {
  const Vector<Lanes> x = sigma * -decay_rate;
  return taylor<Lanes>((x * (1.0f / 362880) + 1.0f / 40320) * x + 1.0f / 5040, x);
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
