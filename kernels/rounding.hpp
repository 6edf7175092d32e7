// How f32 numbers become bf16: to nearest, or stochastically [Gupta et al. 2015], up with the
// probability of the distance that is cut off, so that the mean over many steps is the number
// itself.
#pragma once

#include "core/bfloat16.hpp"
#include "core/random.hpp"

namespace metascale {

// The random bits of an element are a function of (step, first + index): the same on any number of
// threads and ranks, on any device, and when a step is made again.
struct Rounding {
  bool stochastic = false;
  std::int64_t step = 0;   // of the optimizer
  std::int64_t first = 0;  // of the tensor's elements, in the arena that all ranks share

  // Numbers that are no numbers, and infinite ones, stay what they are.
  constexpr bfloat16 operator()(float x, std::int64_t index) const {
    const std::uint32_t word = std::bit_cast<std::uint32_t>(x);
    if (!stochastic || (word & 0x7f800000u) == 0x7f800000u) return bfloat16(x);
    bfloat16 result;
    result.bits = std::uint16_t((word + random_bits(std::uint64_t(first + index))) >> 16);
    return result;
  }

 private:
  // 16 of the 128 bits that eight neighbours share.
  constexpr std::uint32_t random_bits(std::uint64_t index) const {
    constexpr std::uint64_t seed = stream_of("stochastic rounding");
    const RandomStream random(seed, std::uint64_t(step));
    const std::uint32_t word = random.words(index / 8)[index / 2 % 4];
    return (index % 2 ? word >> 16 : word) & 0xffffu;
  }
};

}  // namespace metascale
