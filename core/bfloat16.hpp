// bfloat16 as storage: the upper 16 bits of a float, rounded to nearest, ties to even, as hardware
// does it. Arithmetic happens in float.
#pragma once

#include <bit>
#include <cstdint>

namespace metascale {

struct bfloat16 {
  std::uint16_t bits = 0;

  bfloat16() = default;
  constexpr explicit bfloat16(float value) {
    const std::uint32_t word = std::bit_cast<std::uint32_t>(value);
    bits = (word & 0x7fffffffu) > 0x7f800000u
               ? std::uint16_t((word >> 16) | 0x40u)  // NaN stays NaN
               : std::uint16_t((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
  }
  constexpr operator float() const { return std::bit_cast<float>(std::uint32_t(bits) << 16); }
};

}  // namespace metascale
