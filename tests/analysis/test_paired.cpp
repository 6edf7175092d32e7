#include <catch2/catch.hpp>
#include <cmath>

#include "analysis/paired.hpp"
#include "analysis/support/random.hpp"
#include "core/error.hpp"

using namespace metascale;

namespace {

// Documents of equal length whose differences are normal: the mean's deviation is known.
PairedSeed normal_documents(int count, double difference, double deviation, std::uint64_t seed) {
  CounterRandom random(seed, 0);
  PairedSeed documents;
  for (int i = 0; i < count; ++i) {
    const double first = 300 + 40 * random.normal();
    documents.push_back(
        {i % 2, 100, 400, first, first + 100 * (difference + deviation * random.normal())});
  }
  return documents;
}

double width(const Interval& interval) { return interval.high - interval.low; }

}  // namespace

TEST_CASE("intervals over documents agree with the closed form on normal differences") {
  const PairedSeed documents[] = {normal_documents(400, -0.05, 0.2, 5)};
  double mean = 0, squares = 0;
  for (const PairedDocument& document : documents[0])
    mean += (document.second - document.first) / 100 / 400;
  for (const PairedDocument& document : documents[0])
    squares += std::pow((document.second - document.first) / 100 - mean, 2);
  const double error = std::sqrt(squares / 400) / std::sqrt(400.0);

  const PairedResult result = paired_difference(documents, {});

  CHECK(result.difference == Approx(mean).epsilon(1e-12));
  for (const Interval& interval : {result.percentile, result.bca}) {
    CHECK(interval.low == Approx(mean - 1.96 * error).margin(0.06 * error));
    CHECK(interval.high == Approx(mean + 1.96 * error).margin(0.06 * error));
  }
}

TEST_CASE("pairing removes what the models share") {
  const PairedSeed documents[] = {normal_documents(400, -0.05, 0.01, 6)};
  const PairedResult result = paired_difference(documents, {});
  // The losses of documents spread by 0.4 nats per token, their differences by 0.01.
  CHECK(width(result.bca) < 0.003);
  CHECK(result.bca.excludes(0));
}

TEST_CASE("long documents weigh by their tokens") {
  const PairedSeed documents[] = {{{0, 900, 3600, 900, 990}, {0, 100, 400, 100, 50}}};
  const PairedResult result = paired_difference(documents, {.draws = 100});
  CHECK(result.difference == Approx(0.04));
  CHECK(result.bits_per_byte == Approx(0.04 * 1000 / (4000 * std::log(2.0))));
}

TEST_CASE("a domain takes only its own documents") {
  PairedSeed documents = normal_documents(100, 0, 0, 7);
  for (PairedDocument& document : documents)
    if (document.domain == 1) document.second += 100;
  const PairedSeed seeds[] = {documents};
  CHECK(paired_difference(seeds, {.draws = 50, .domain = 0}).difference == Approx(0).margin(1e-12));
  CHECK(paired_difference(seeds, {.draws = 50, .domain = 1}).difference == Approx(1));
  CHECK(paired_difference(seeds, {.draws = 50, .domain = 1}).documents == 50);
}

TEST_CASE("one seed assumes the seed noise that is known") {
  const PairedSeed documents[] = {normal_documents(400, -0.05, 0.01, 8)};
  const PairedResult result = paired_difference(documents, {});
  const double deviation = 0.0035 * std::hypot(result.first_loss, result.second_loss);
  CHECK(result.assumed_seed_noise);
  CHECK(width(result.with_seeds) == Approx(2 * 1.96 * deviation).epsilon(0.05));
  CHECK_FALSE(std::isfinite(result.seed_deviation));
}

TEST_CASE("one seed assumes more noise where more is given") {
  const PairedSeed documents[] = {normal_documents(400, -0.05, 0.01, 8)};
  const PairedResult result = paired_difference(documents, {.seed_deviation = 0.01});
  const double deviation = 0.01 * std::hypot(result.first_loss, result.second_loss);
  CHECK(width(result.with_seeds) == Approx(2 * 1.96 * deviation).epsilon(0.05));
}

TEST_CASE("of a handful of documents or fewer no interval is given") {
  const auto of = [](int count) {
    const PairedSeed seeds[] = {normal_documents(count, -0.5, 0.01, 8),
                                normal_documents(count, -0.5, 0.01, 9)};
    return paired_difference(seeds, {.draws = 200});
  };
  for (const int count : {1, 4}) {
    const PairedResult few = of(count);
    CHECK(few.difference == Approx(-0.5).epsilon(0.1));
    for (const Interval& interval : {few.percentile, few.bca, few.with_seeds})
      CHECK_FALSE(interval.known());
  }
  CHECK(of(5).with_seeds.known());
}

TEST_CASE("three seeds widen the interval by Student's t of their own spread") {
  const PairedSeed seeds[] = {normal_documents(400, -0.04, 0.001, 9),
                              normal_documents(400, -0.05, 0.001, 10),
                              normal_documents(400, -0.06, 0.001, 11)};
  const PairedResult result = paired_difference(seeds, {});
  CHECK_FALSE(result.assumed_seed_noise);
  CHECK(result.seed_deviation == Approx(0.01).epsilon(0.05));
  // t with 2 degrees of freedom: 4.303 at 97.5 %
  CHECK(width(result.with_seeds) == Approx(2 * 4.303 * 0.01 / std::sqrt(3.0)).epsilon(0.1));
}

TEST_CASE("draws do not depend on the number of threads") {
  const PairedSeed documents[] = {normal_documents(50, -0.05, 0.2, 12)};
  const PairedResult one = paired_difference(documents, {.draws = 500, .threads = 1});
  const PairedResult two = paired_difference(documents, {.draws = 500, .threads = 3});
  CHECK(one.draws == two.draws);
}

TEST_CASE("the interval covers the truth in 95 of 100 samples", "[.slow]") {
  int covered = 0;
  for (std::uint64_t sample = 0; sample < 400; ++sample) {
    const PairedSeed documents[] = {normal_documents(100, -0.05, 0.2, 1000 + sample)};
    const PairedResult result = paired_difference(documents, {.draws = 1000});
    covered += result.bca.excludes(-0.05) ? 0 : 1;
  }
  CHECK(covered >= 368);  // 92 %: 95 % less three deviations
  CHECK(covered <= 392);
}

TEST_CASE("documents are joined by their number") {
  const DocumentLoss first[] = {{2, 0, 10, 40, 20}, {1, 1, 5, 20, 9}};
  const DocumentLoss second[] = {{1, 1, 5, 20, 8}, {2, 0, 10, 40, 21}};
  const PairedSeed joined = join_documents(first, second);
  REQUIRE(joined.size() == 2);
  CHECK(joined[0].first == 9);
  CHECK(joined[0].second == 8);
  CHECK(joined[1].domain == 0);
}

TEST_CASE("evaluations of different text are not joined") {
  const DocumentLoss first[] = {{1, 0, 10, 40, 20}};
  const DocumentLoss other[] = {{1, 0, 11, 40, 20}};
  CHECK_THROWS_WITH(join_documents(first, other), Catch::Contains("document 1 (10 tokens)"));
  CHECK_THROWS_WITH(join_documents(first, {}), Catch::Contains("scored 1 documents, the other 0"));
}

TEST_CASE("a pair without documents is an error, not a zero") {
  const PairedSeed none[] = {{}};
  CHECK_THROWS_AS(paired_difference(none, {}), Error);
  CHECK_THROWS_AS(paired_difference({}, {}), Error);
}

namespace {

struct Noise {
  double documents, seeds;  // standard deviations of the difference, nats per token
};

// Share of made-up comparisons whose interval with seeds holds the true difference of -0.05. Each
// seed sees the same documents, whose part of the difference all seeds share.
double coverage_with_seeds(const Noise& noise, int count) {
  constexpr int tables = 400, documents = 30;
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  int held = 0;
  for (int table = 0; table < tables; ++table) {
    std::vector<double> shared(documents);
    for (double& part : shared) part = noise.documents * normal(random);
    std::vector<PairedSeed> seeds;
    for (int seed = 0; seed < count; ++seed) {
      const double own = -0.05 + noise.seeds * normal(random);
      seeds.emplace_back();
      for (const double part : shared)
        seeds.back().push_back({0, 100, 400, 300, 300 + 100 * (own + part)});
    }
    const PairedResult result =
        paired_difference(seeds, {.draws = 400, .seed = std::uint64_t(table)});
    held += result.with_seeds.excludes(-0.05) ? 0 : 1;
  }
  return double(held) / tables;
}

}  // namespace

TEST_CASE("intervals with seeds hold the truth in nineteen of twenty cases where seeds differ") {
  const int count = GENERATE(2, 3);
  const double held = coverage_with_seeds({.documents = 0.001, .seeds = 0.01}, count);
  INFO(count << " seeds: " << held);
  CHECK(held >= 0.92);
  CHECK(held <= 0.98);
}

TEST_CASE("intervals with seeds hold the truth at least as often where documents differ too") {
  const int count = GENERATE(2, 3);
  const double held = coverage_with_seeds({.documents = 0.05, .seeds = 0.01}, count);
  INFO(count << " seeds: " << held);
  CHECK(held >= 0.92);
}
