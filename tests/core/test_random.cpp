#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "core/random.hpp"

using namespace metascale;

namespace {
using Words = std::array<std::uint32_t, 4>;
constexpr std::uint32_t ones = 0xffffffffu;
}  // namespace

TEST_CASE("Philox4x32-10 gives the known answers of Random123") {  // its kat_vectors
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({ones, ones, ones, ones}, {ones, ones}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a random number depends on seed, stream and index alone") {
  const RandomStream stream(7, 3);
  const double late = stream.normal(1000), early = stream.normal(1);
  CHECK(stream.normal(1) == early);
  CHECK(RandomStream(7, 3).normal(1000) == late);
  CHECK(RandomStream(8, 3).normal(1000) != late);
  CHECK(RandomStream(7, 4).normal(1000) != late);
  CHECK(stream.bits(std::uint64_t(1) << 32) != stream.bits(0));
}

TEST_CASE("uniform numbers stay inside (0, 1) and fill it evenly") {
  const RandomStream stream(1, 1);
  std::array<int, 10> counts{};
  double sum = 0;
  const int draws = 100000;
  for (int i = 0; i < draws; ++i) {
    const double value = stream.uniform(std::uint64_t(i));
    REQUIRE((value > 0 && value < 1));
    sum += value;
    ++counts[std::size_t(10 * value)];
  }
  CHECK(sum / draws == Approx(0.5).margin(4 * 0.2887 / std::sqrt(draws)));
  for (const int count : counts) CHECK(std::abs(count - draws / 10) < 4 * 95);  // sigma is 95
}

TEST_CASE("normal numbers have the moments of a standard normal") {
  const RandomStream stream(1, 2);
  const int draws = 100000;
  double sum = 0, squares = 0, fourth = 0, product = 0;
  for (int i = 0; i < draws; ++i) {
    const double value = stream.normal(std::uint64_t(i));
    REQUIRE(std::isfinite(value));
    sum += value;
    squares += value * value;
    fourth += value * value * value * value;
    if (i % 2) product += value * stream.normal(std::uint64_t(i - 1));  // of the two of one pair
  }
  const double sigma = 1 / std::sqrt(draws);
  CHECK(std::abs(sum / draws) < 4 * sigma);
  CHECK(squares / draws == Approx(1).margin(4 * std::sqrt(2) * sigma));
  CHECK(fourth / draws == Approx(3).margin(4 * std::sqrt(96) * sigma));
  CHECK(std::abs(2 * product / draws) < 4 * std::sqrt(2) * sigma);
}

TEST_CASE("numbers below a bound are below it and reach every value") {
  const RandomStream stream(5, 5);
  std::array<int, 7> counts{};
  for (std::uint64_t i = 0; i < 700; ++i) ++counts.at(stream.below(7, i));
  for (const int count : counts) CHECK(count > 50);
  CHECK(stream.below(1, 3) == 0);
}

TEST_CASE("streams have numbers of their own by name") {
  CHECK(stream_of("") == 0xcbf29ce484222325u);
  CHECK(stream_of("a") == 0xaf63dc4c8601ec8cu);  // FNV-1a's published test
  CHECK(stream_of("foobar") == 0x85944171f73967e8u);
}
