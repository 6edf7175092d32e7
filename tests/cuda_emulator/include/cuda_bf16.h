// Stand-in for NVIDIA's cuda_bf16.h: storage and conversions, bit for bit as the device does them
// (to nearest, ties to even; every NaN becomes 0x7fff).
#pragma once

#include <cuda_runtime.h>

#include <bit>
#include <cstdint>

struct __nv_bfloat16_raw {
  unsigned short x;
};

struct __nv_bfloat16 {
  unsigned short bits;

  __nv_bfloat16() = default;
  constexpr __nv_bfloat16(__nv_bfloat16_raw raw) : bits(raw.x) {}
  constexpr operator __nv_bfloat16_raw() const { return {bits}; }
};
struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

inline float __bfloat162float(__nv_bfloat16 value) {
  return std::bit_cast<float>(std::uint32_t(value.bits) << 16);
}

inline __nv_bfloat16 __float2bfloat16_rn(float value) {
  const std::uint32_t word = std::bit_cast<std::uint32_t>(value);
  const bool is_nan = (word & 0x7fffffffu) > 0x7f800000u;
  const std::uint32_t rounded = (word + 0x7fffu + ((word >> 16) & 1u)) >> 16;
  return __nv_bfloat16_raw{static_cast<unsigned short>(is_nan ? 0x7fffu : rounded)};
}
inline __nv_bfloat16 __float2bfloat16(float value) { return __float2bfloat16_rn(value); }

inline float2 __bfloat1622float2(__nv_bfloat162 pair) {
  return {__bfloat162float(pair.x), __bfloat162float(pair.y)};
}
inline __nv_bfloat162 __float22bfloat162_rn(float2 pair) {
  return {__float2bfloat16_rn(pair.x), __float2bfloat16_rn(pair.y)};
}
