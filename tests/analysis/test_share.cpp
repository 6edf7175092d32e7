// Shares over seeds, and their intervals.
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "analysis/share.hpp"

using namespace metascale;

namespace {

constexpr double confidence = 0.95;

std::vector<SeedShare> of_500(std::initializer_list<double> values) {
  std::vector<SeedShare> seeds;
  for (const double value : values) seeds.push_back({value, 500});
  return seeds;
}

}  // namespace

TEST_CASE("an interval of a share stays between none and all, and holds the share") {
  for (const auto& seeds :
       {of_500({0, 0}), of_500({1, 1}), of_500({0.991, 0.999}), of_500({0.58, 0.95}),
        of_500({0, 1}), of_500({0.99, 0.99, 1}), of_500({0.001, 0, 0.3})}) {
    const Share share = ShareIntervals().of(seeds, confidence);
    INFO(share.value << " [" << share.interval.low << ", " << share.interval.high << "]");
    REQUIRE(share.interval.known());
    CHECK(share.interval.low >= 0);
    CHECK(share.interval.high <= 1);
    CHECK(share.interval.low <= share.value);
    CHECK(share.interval.high >= share.value);
    CHECK(share.interval.high - share.interval.low > 0.005);  // 500 examples leave some noise
  }
}

TEST_CASE("a share of all examples is as uncertain as the examples allow") {
  const Interval all = ShareIntervals().of(of_500({1, 1}), confidence).interval;
  CHECK(all.high == 1);
  CHECK(all.low == Approx(0.9924).margin(0.001));  // Wilson's lower end of 500 of 500: 0.9924
  const Interval none = ShareIntervals().of(of_500({0, 0}), confidence).interval;
  CHECK(none.low == 0);
  CHECK(none.high == Approx(1 - all.low));
}

TEST_CASE("where seeds agree and the share is in the middle, the interval is the normal one") {
  const Interval interval = ShareIntervals().of(of_500({0.4, 0.4}), confidence).interval;
  const double half = 1.96 * std::sqrt(0.4 * 0.6 / 500);
  CHECK(interval.low == Approx(0.4 - half).margin(0.003));
  CHECK(interval.high == Approx(0.4 + half).margin(0.003));
}

TEST_CASE("seeds that differ by everything leave nothing known") {
  const Interval interval = ShareIntervals().of(of_500({0, 1}), confidence).interval;
  CHECK(interval.low == 0);
  CHECK(interval.high == 1);
}

TEST_CASE("a difference of shares stays between -1 and 1 and changes its sign with its arms") {
  const auto most = of_500({1, 1}), least = of_500({0, 0}), some = of_500({0.5, 0.9});
  const Share whole = ShareIntervals().difference(most, least, confidence);
  CHECK(whole.value == 1);
  CHECK(whole.interval.high == 1);
  CHECK(whole.interval.low > 0.98);
  CHECK(whole.interval.low < 0.999);
  const Share back = ShareIntervals().difference(least, most, confidence);
  CHECK(back.value == -1);
  CHECK(back.interval.low == -1);
  CHECK(back.interval.high == Approx(-whole.interval.low));
  const Share wide = ShareIntervals().difference(some, least, confidence);
  CHECK(wide.interval.low >= -1);
  CHECK(wide.interval.high <= 1);
  CHECK_FALSE(wide.interval.excludes(0));  // two seeds so far apart
}

TEST_CASE("an interval does not depend on what was asked for before it") {
  ShareIntervals intervals;
  const auto two = of_500({0.4, 0.5}), three = of_500({0.1, 0.2, 0.7});
  const Interval of_three = intervals.of(three, confidence).interval;
  const Interval of_two = intervals.of(two, 0.5).interval;
  intervals.difference(two, of_500({0.3, 0.1}), confidence);
  for (int again = 0; again < 2; ++again) {
    CHECK(intervals.of(two, 0.5).interval.low == of_two.low);
    CHECK(intervals.of(three, confidence).interval.high == of_three.high);
  }
  CHECK(ShareIntervals().of(two, 0.5).interval.high == of_two.high);
  CHECK(ShareIntervals().of(three, confidence).interval.low == of_three.low);
}

TEST_CASE("one seed has a share and no interval") {
  CHECK(ShareIntervals().of(of_500({0.7}), confidence).value == 0.7);
  CHECK_FALSE(ShareIntervals().of(of_500({0.7}), confidence).interval.known());
  CHECK_FALSE(
      ShareIntervals().difference(of_500({0.7}), of_500({0.1}), confidence).interval.known());
}

TEST_CASE("intervals of two and three seeds hold the true share in nineteen of twenty cases") {
  // Seeds are Beta(a, b), of which each is counted on 500 examples.
  std::mt19937_64 random(7);
  ShareIntervals intervals;
  for (const auto& [a, b] : {std::pair{40.0, 60.0}, std::pair{90.0, 10.0}, std::pair{500.0, 5.0}})
    for (const int count : {2, 3}) {
      std::gamma_distribution<double> right(a), wrong(b);
      int held = 0;
      constexpr int tables = 400;
      for (int table = 0; table < tables; ++table) {
        std::vector<SeedShare> seeds;
        for (int seed = 0; seed < count; ++seed) {
          const double up = right(random), share = up / (up + wrong(random));
          std::binomial_distribution<int> answers(500, share);
          seeds.push_back({answers(random) / 500.0, 500});
        }
        held += intervals.of(seeds, confidence).interval.excludes(a / (a + b)) ? 0 : 1;
      }
      INFO(a << " " << b << ", " << count << " seeds: " << held << " of " << tables);
      CHECK(held >= 0.92 * tables);
    }
}

TEST_CASE("intervals of a difference of shares hold the true one at least as often as they say") {
  // Seeds of each arm are Beta(a, b); both arms answer the same examples, which make it narrower.
  std::mt19937_64 random(11);
  ShareIntervals intervals;
  using Ends = std::pair<double, double>;
  for (const auto& [own, other] :
       {std::pair{Ends{60, 40}, Ends{40, 60}}, std::pair{Ends{95, 5}, Ends{20, 80}},
        std::pair{Ends{500, 5}, Ends{500, 5}}})
    for (const int count : {2, 3}) {
      const auto seed_of = [&](const Ends& ends) {
        std::gamma_distribution<double> right(ends.first), wrong(ends.second);
        const double up = right(random), share = up / (up + wrong(random));
        return SeedShare{std::binomial_distribution<int>(500, share)(random) / 500.0, 500};
      };
      const auto mean_of = [](const Ends& ends) { return ends.first / (ends.first + ends.second); };
      int held = 0;
      constexpr int tables = 300;
      for (int table = 0; table < tables; ++table) {
        std::vector<SeedShare> mine, theirs;
        for (int seed = 0; seed < count; ++seed)
          mine.push_back(seed_of(own)), theirs.push_back(seed_of(other));
        const Interval interval = intervals.difference(mine, theirs, confidence).interval;
        held += interval.excludes(mean_of(own) - mean_of(other)) ? 0 : 1;
      }
      INFO(own.first << " against " << other.first << ", " << count << " seeds: " << held);
      CHECK(held >= 0.93 * tables);
    }
}
