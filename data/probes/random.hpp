// The generator behind the probes: splitmix64 [Steele et al. 2014], begun anew for each example, so
// that an example depends on (seed, index) alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace metascale::probes {

class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t index) : state_(mixed(seed) ^ mixed(index + 1)) {}

  std::uint64_t next() {
    state_ += step;
    return finished(state_);
  }
  // In [0, bound); bound is below 2^32.
  std::int64_t below(std::int64_t bound) {
    return std::int64_t(((next() >> 32) * std::uint64_t(bound)) >> 32);
  }
  // `count` different ones of [first, last), in random order: a Fisher-Yates shuffle cut short.
  std::vector<std::int32_t> choose(std::int64_t first, std::int64_t last, std::int64_t count) {
    std::vector<std::int32_t> pool(static_cast<std::size_t>(last - first));
    std::iota(pool.begin(), pool.end(), std::int32_t(first));
    for (std::int64_t i = 0; i < count; ++i)
      std::swap(pool[std::size_t(i)], pool[std::size_t(i + below(last - first - i))]);
    pool.resize(std::size_t(count));
    return pool;
  }

 private:
  static constexpr std::uint64_t step = 0x9E3779B97F4A7C15u;
  static std::uint64_t finished(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  static std::uint64_t mixed(std::uint64_t z) { return finished(z + step); }

  std::uint64_t state_;
};

}  // namespace metascale::probes
