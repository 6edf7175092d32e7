// Random numbers as a function of (seed, stream, counter), so that a bootstrap draw is the same
// whichever thread makes it. The mixing function is SplitMix64's [Steele, Lea, Flood 2014].
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace metascale {

class CounterRandom {
 public:
  CounterRandom(std::uint64_t seed, std::uint64_t stream)
      : key_(mix(seed ^ mix(stream + 0x632be59bd9b4e019u))) {}

  std::uint64_t bits() { return mix(key_ + 0x9e3779b97f4a7c15u * ++counter_); }
  // Uniform in (0, 1): never 0, so that its logarithm exists.
  double uniform() { return (double(bits() >> 11) + 0.5) * 0x1p-53; }
  // Uniform in [0, count); the bias of the multiplication is below count / 2^64.
  std::uint64_t below(std::uint64_t count) {
    return std::uint64_t((static_cast<unsigned __int128>(bits()) * count) >> 64);
  }
  double normal() {  // Box-Muller, one of the two
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
  double student_t(std::int64_t degrees) {  // normal / sqrt(chi-squared / degrees)
    double squares = 0;
    for (std::int64_t i = 0; i < degrees; ++i) {
      const double value = normal();
      squares += value * value;
    }
    return normal() / std::sqrt(squares / double(degrees));
  }

 private:
  static std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }
  std::uint64_t key_;
  std::uint64_t counter_ = 0;
};

}  // namespace metascale
