// exp, tanh, erf and the logistic function for loops: without branches, calls or tables in f32, so
// that the compiler vectorises them; the standard library's in f64. Relative errors in f32 are
// below 4e-7 (measured over all floats by tests/kernels/test_vector_math.cpp); NaN stays NaN.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace metascale {

// exp(x) = 2^n e^r,  n = round(x / ln 2),  |r| <= ln 2 / 2: the Taylor series of e^r to r^7 / 7!.
// Results below 2^-125 are 0.
[[gnu::always_inline]] inline float vector_exp(float x) {
  constexpr float rounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float shifted = x * 1.44269504f + rounder, n = shifted - rounder;
  const float r = (x - n * 0.693145752f) - n * 1.42860677e-6f;  // ln 2 in two parts
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // The low bits of `shifted` are n; 2^(n-1) first, because 2^128 is not a float.
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) << 23) + 0x3f000000u;
  const float scaled = p * std::bit_cast<float>(exponent) * 2.0f;
  const float above = x > 88.72283f ? std::numeric_limits<float>::infinity() : scaled;
  return x < -86.64f ? 0.0f : above;
}
[[gnu::always_inline]] inline double vector_exp(double x) { return std::exp(x); }

[[gnu::always_inline]] inline float vector_sigmoid(float x) {
  return 1.0f / (1.0f + vector_exp(-x));
}
[[gnu::always_inline]] inline double vector_sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// Near 0 the odd Taylor-like polynomial of [Cephes, tanhf], elsewhere 1 - 2 / (e^{2|x|} + 1).
[[gnu::always_inline]] inline float vector_tanh(float x) {
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float near = x + x * z * p;
  const float size = std::fabs(x);
  const float far = std::copysign(1.0f - 2.0f / (vector_exp(2.0f * size) + 1.0f), x);
  return size < 0.625f ? near : far;
}
[[gnu::always_inline]] inline double vector_tanh(double x) { return std::tanh(x); }

// Below 1 x + x p(x^2), above 1 - e^{-x q(x)} (1 from 4 on), with p and q the Chebyshev
// interpolants of erf(sqrt(z)) / sqrt(z) - 1 on [0, 1] and of -ln(erfc(x)) / x on [0.95, 4].
[[gnu::always_inline]] inline float vector_erf(float x) {
  const float z = x * x;
  float p = -5.65410592e-4f;
  p = p * z + 4.92327753e-3f;
  p = p * z - 2.6716385e-2f;
  p = p * z + 1.12803645e-1f;
  p = p * z - 3.76123488e-1f;
  p = p * z + 1.28379121e-1f;
  const float near = x + x * p, size = std::fabs(x), t = size > 4.0f ? 4.0f : size;
  float q = 1.62986198e-5f;
  q = q * t - 3.6904533e-4f;
  q = q * t + 3.80477775e-3f;
  q = q * t - 2.40327474e-2f;
  q = q * t + 1.06444217e-1f;
  q = q * t + 6.35103822e-1f;
  q = q * t + 1.12863827f;
  const float far = std::copysign(1.0f - vector_exp(-t * q), x);
  return size < 1.0f ? near : far;
}
[[gnu::always_inline]] inline double vector_erf(double x) { return std::erf(x); }

}  // namespace metascale
