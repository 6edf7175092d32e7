#include "analysis/paired.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "analysis/support/random.hpp"
#include "core/error.hpp"
#include "core/parallel.hpp"

namespace metascale {
namespace {

constexpr std::uint64_t seed_stream = 0x5eed000000000000u;  // apart from the documents' draws

struct Unit {  // one document, averaged over seeds
  double tokens = 0;
  double difference = 0;  // nats
};

std::vector<Unit> units_of(std::span<const PairedSeed> seeds, int domain) {
  std::vector<Unit> units;
  for (std::size_t i = 0; i < seeds.front().size(); ++i) {
    const PairedDocument& document = seeds.front()[i];
    if ((domain >= 0 && document.domain != domain) || document.tokens <= 0) continue;
    Unit unit{document.tokens, 0};
    for (const PairedSeed& seed : seeds)
      unit.difference += (seed[i].second - seed[i].first) / double(seeds.size());
    units.push_back(unit);
  }
  return units;
}

// Sum of differences over sum of tokens of documents drawn with replacement.
double draw_documents(std::span<const Unit> units, CounterRandom random) {
  double tokens = 0, difference = 0;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const Unit& unit = units[random.below(units.size())];
    tokens += unit.tokens;
    difference += unit.difference;
  }
  return difference / tokens;
}

std::vector<double> leave_one_out(std::span<const Unit> units) {
  Unit sum;
  for (const Unit& unit : units) sum.tokens += unit.tokens, sum.difference += unit.difference;
  std::vector<double> estimates;
  if (units.size() < 2) return estimates;
  for (const Unit& unit : units)
    estimates.push_back((sum.difference - unit.difference) / (sum.tokens - unit.tokens));
  return estimates;
}

double deviation_of(std::span<const double> values) {
  if (values.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / double(values.size() - 1));
}

void add_levels(std::span<const PairedSeed> seeds, int domain, PairedResult& result) {
  double bytes = 0;
  for (const PairedSeed& seed : seeds) {
    double tokens = 0, first = 0, second = 0;
    bytes = 0;
    for (const PairedDocument& document : seed) {
      if ((domain >= 0 && document.domain != domain) || document.tokens <= 0) continue;
      tokens += document.tokens, bytes += document.bytes;
      first += document.first, second += document.second;
    }
    result.tokens = std::int64_t(tokens);
    result.first_loss += first / tokens / double(seeds.size());
    result.second_loss += second / tokens / double(seeds.size());
    result.per_seed.push_back((second - first) / tokens);
  }
  result.difference = result.second_loss - result.first_loss;
  result.relative = result.difference / result.first_loss;
  result.bits_per_byte = result.difference * double(result.tokens) / (bytes * std::numbers::ln2);
  result.seed_deviation = deviation_of(result.per_seed);
}

// What the seeds add to one draw. Several seeds: Student's t with their own spread, since
// resampling two or three values understates it; one seed: the assumed deviation of two single
// runs.
double draw_seeds(const PairedResult& result, double assumed, CounterRandom random) {
  const std::size_t count = result.per_seed.size();
  if (count < 2)
    return random.normal() * assumed * std::hypot(result.first_loss, result.second_loss);
  return random.student_t(std::int64_t(count) - 1) * result.seed_deviation /
         std::sqrt(double(count));
}

}  // namespace

PairedSeed join_documents(std::span<const DocumentLoss> first,
                          std::span<const DocumentLoss> second) {
  const auto by_number = [](const DocumentLoss& a, const DocumentLoss& b) {
    return a.document < b.document;
  };
  std::vector<DocumentLoss> left(first.begin(), first.end()), right(second.begin(), second.end());
  std::sort(left.begin(), left.end(), by_number);
  std::sort(right.begin(), right.end(), by_number);
  PairedSeed joined;
  for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    if (left[i].document != right[i].document || left[i].tokens != right[i].tokens)
      throw Error(concat("the evaluations part at document ", left[i].document, " (",
                         left[i].tokens, " tokens) and document ", right[i].document, " (",
                         right[i].tokens, " tokens): they did not score the same text"),
                  ExitCode::assertion);
    joined.push_back({left[i].domain, double(left[i].tokens), double(left[i].bytes), left[i].nats,
                      right[i].nats});
  }
  if (left.size() != right.size())
    throw Error(concat("one evaluation scored ", left.size(), " documents, the other ",
                       right.size(), ": they did not score the same text"),
                ExitCode::assertion);
  return joined;
}

PairedResult paired_difference(std::span<const PairedSeed> seeds, const PairedOptions& options) {
  if (seeds.empty()) throw Error("a paired difference was asked of no seed", ExitCode::assertion);
  for (const PairedSeed& seed : seeds)
    if (seed.size() != seeds.front().size())
      throw Error(
          "the seeds of a paired difference scored different documents; evaluate all runs "
          "on the same set",
          ExitCode::assertion);
  const std::vector<Unit> units = units_of(seeds, options.domain);
  if (units.empty())
    throw Error("a paired difference has no document: the final evaluations hold no segments",
                ExitCode::assertion);
  PairedResult result;
  result.documents = std::int64_t(units.size());
  add_levels(seeds, options.domain, result);

  result.assumed_seed_noise = seeds.size() < 2;
  std::vector<double> documents(std::size_t(options.draws)), both(documents.size());
  if (result.documents < fewest_documents) {
    result.draws.assign(both.size(), std::numeric_limits<double>::quiet_NaN());
    return result;
  }
  parallel_for(options.threads, options.draws, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t draw = begin; draw < end; ++draw) {
      const auto stream = std::uint64_t(draw);
      documents[std::size_t(draw)] = draw_documents(units, CounterRandom(options.seed, stream));
      both[std::size_t(draw)] =
          documents[std::size_t(draw)] +
          draw_seeds(result, options.seed_deviation,
                     CounterRandom(options.seed ^ (seed_stream + options.cell), stream));
    }
  });
  result.percentile = percentile_interval(documents, options.confidence);
  result.bca = bca_interval(std::move(documents), result.difference, leave_one_out(units),
                            options.confidence);
  result.with_seeds = percentile_interval(both, options.confidence);
  result.draws = std::move(both);
  return result;
}

}  // namespace metascale
