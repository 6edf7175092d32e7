// Random numbers as a function: Philox4x32-10 [Salmon et al. 2011], a counter-based generator. A
// value depends on (seed, stream, index) alone, so that it can be made anywhere, in any order, on
// any device.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>

namespace metascale {

// One application of the generator: 4 random words for a counter and a key.
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                  std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t(0xD2511F53u) * counter[0];
    const std::uint64_t p1 = std::uint64_t(0xCD9E8D57u) * counter[2];
    counter = {std::uint32_t(p1 >> 32) ^ counter[1] ^ key[0], std::uint32_t(p1),
               std::uint32_t(p0 >> 32) ^ counter[3] ^ key[1], std::uint32_t(p0)};
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  return counter;
}

class RandomStream {
 public:
  constexpr RandomStream(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}

  constexpr std::array<std::uint32_t, 4> words(std::uint64_t index) const {
    return philox4x32({std::uint32_t(index), std::uint32_t(index >> 32), std::uint32_t(stream_),
                       std::uint32_t(stream_ >> 32)},
                      {std::uint32_t(seed_), std::uint32_t(seed_ >> 32)});
  }
  constexpr std::uint64_t bits(std::uint64_t index) const {
    const auto w = words(index);
    return std::uint64_t(w[0]) << 32 | w[1];
  }
  // In (0, 1): never 0 nor 1.
  constexpr double uniform(std::uint64_t index) const { return to_unit(bits(index)); }
  // Standard normal by Box and Muller; neighbours 2i and 2i + 1 share one application. The last
  // bits depend on the C library's log, sin and cos.
  double normal(std::uint64_t index) const {
    const auto w = words(index / 2);
    const double radius = std::sqrt(-2 * std::log(to_unit(std::uint64_t(w[0]) << 32 | w[1])));
    const double angle = 2 * std::numbers::pi * to_unit(std::uint64_t(w[2]) << 32 | w[3]);
    return radius * (index % 2 ? std::sin(angle) : std::cos(angle));
  }
  // In [0, bound), without bias beyond 2^-64 bound.
  constexpr std::uint64_t below(std::uint64_t bound, std::uint64_t index) const {
    return std::uint64_t((static_cast<unsigned __int128>(bits(index)) * bound) >> 64);
  }

 private:
  static constexpr double to_unit(std::uint64_t bits) {
    return (double(bits >> 12) + 0.5) * 0x1.0p-52;  // exact, so never 1
  }
  std::uint64_t seed_, stream_;
};

// The number of a stream that has a name: FNV-1a, 64 bits.
constexpr std::uint64_t stream_of(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (char c : name) hash = (hash ^ std::uint64_t(static_cast<unsigned char>(c))) * 0x100000001b3u;
  return hash;
}

}  // namespace metascale
