#include "analysis/claims/parts.hpp"

#include <fmt/format.h>

#include <cmath>

#include "analysis/support/text.hpp"

namespace metascale {

std::string share_text(double value) { return fmt::format("{:+.2f} %", 100 * value); }
std::string share_text(const Interval& interval) {
  return fmt::format("[{:+.2f}, {:+.2f}] %", 100 * interval.low, 100 * interval.high);
}

SeedMean mean_over_seeds(std::span<const double> values, double known_deviation) {
  const double count = double(values.size());
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / count;
  for (const double value : values) squares += (value - mean) * (value - mean);
  if (values.size() < 2) return {mean, known_deviation, 0};
  return {mean, std::sqrt(squares / (count - 1) / count), std::int64_t(values.size()) - 1};
}

ClaimValue value_of(const Comparison& comparison, const char* measure, double value,
                    const Interval& interval) {
  const MatchedPair& pair = *comparison.pair->pair;
  const bool second = comparison.sign > 0;
  return {second ? pair.second_arm : pair.first_arm,
          second ? pair.first_arm : pair.second_arm,
          pair.size,
          pair.length,
          measure,
          value,
          interval,
          run_list(comparison.mine()) + " " + run_list(comparison.theirs())};
}

std::vector<Comparison> comparisons(const Report& report, const std::string& subject,
                                    const std::string& other) {
  std::vector<Comparison> found;
  for (const PairReport& pair : report.pairs) {
    if (!pair.problem.empty()) continue;
    if (pair.pair->second_arm == subject && pair.pair->first_arm == other)
      found.push_back({&pair, 1});
    else if (pair.pair->first_arm == subject && pair.pair->second_arm == other)
      found.push_back({&pair, -1});
  }
  return found;
}

Place place_of(const Comparison& comparison) {
  return {comparison.pair->pair->size, comparison.pair->pair->length};
}

std::string words_of(const Place& place) { return place.first + " " + length_words(place.second); }

std::set<Place> places_of(const Report& report, const std::string& arm) {
  std::set<Place> places;
  for (const Run& run : report.collection.runs)
    if (run.arm == arm && run.is_compared() && !run.is_probe())
      places.emplace(run.size, run.length);
  return places;
}

std::size_t places_missing(const Report& report, const std::string& subject,
                           const std::string& other, const std::set<Place>& judged) {
  const std::set<Place> others = places_of(report, other);
  std::size_t missing = 0;
  for (const Place& place : places_of(report, subject))
    missing += others.contains(place) && !judged.contains(place) ? 1 : 0;
  return missing;
}

std::string words_of_missing(std::size_t missing) {
  return fmt::format("matched pairs at {} more of the sizes and lengths that both arms have",
                     missing);
}

std::string read_out_of(const Run& run) {
  if (const auto fact = run.fact("read_out")) return *fact;
  for (const char* control : {"time_mix", "none"})
    if (run.arm.find(control) != std::string::npos) return control;
  return "state";
}

void refuse_subsets(const Report& report, Claim& claim) {
  if (claim.verdict == Verdict::no_data || covers_all(report)) return;
  claim.verdict = Verdict::not_decided;
  claim.would_decide = "a final evaluation of the whole split; this one is a fixed subset";
}

}  // namespace metascale
