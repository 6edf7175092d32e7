#include "core/match_key.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <sstream>

#include "core/error.hpp"
#include "core/yaml.hpp"

namespace metascale {
namespace {

std::optional<std::string> entry(const MatchKey& key, std::string_view fact) {
  const auto found = key.find(std::string(fact));
  return found == key.end() ? std::nullopt : std::optional(found->second);
}

std::optional<double> number(const MatchKey& key, std::string_view fact) {
  std::optional<std::string> text = entry(key, fact);
  if (!text) return std::nullopt;
  const bool percent = text->ends_with('%');
  if (percent) text->pop_back();
  const std::optional<double> value = parse_number(*text);
  if (!value || !std::isfinite(*value)) return std::nullopt;
  return percent ? *value / 100 : *value;
}

std::string shown(const MatchKey& key, std::string_view fact) {
  return entry(key, fact).value_or("not logged");
}

void compare_values(const MatchKey& a, const MatchKey& b, std::vector<std::string>& reasons) {
  for (const std::string_view fact : {match_value_fact, match_tolerance_fact})
    if (!number(a, fact) || !number(b, fact)) {
      reasons.push_back(fmt::format("{} is not a number in both logs: {} and {}", fact,
                                    shown(a, fact), shown(b, fact)));
      return;
    }
  const double left = *number(a, match_value_fact), right = *number(b, match_value_fact);
  const double tolerance =
      std::min(*number(a, match_tolerance_fact), *number(b, match_tolerance_fact));
  const double larger = std::max(std::abs(left), std::abs(right));
  if (std::abs(left - right) <= tolerance * larger) return;
  reasons.push_back(fmt::format(
      "{} differ by {:.3g} % ({:.6g} and {:.6g}), more than the tolerance of {:.3g} %",
      shown(a, "match_on"), 100 * std::abs(left - right) / larger, left, right, 100 * tolerance));
}

bool asks_for(const MatchKey& key, std::string_view identical) {
  const auto names = entry(key, match_identical_fact);
  if (!names) return true;
  std::istringstream words(*names);
  using Words = std::istream_iterator<std::string>;
  return std::find(Words(words), Words(), identical) != Words();
}

}  // namespace

MatchKey match_key_of(const std::map<std::string, std::string>& facts) {
  MatchKey key;
  const auto take = [&](std::string_view fact) {
    if (const auto value = entry(facts, fact)) key[std::string(fact)] = *value;
  };
  for (const MatchKeyEntry& wanted : match_key_entries) take(wanted.fact);
  take(match_value_fact);
  take(match_tolerance_fact);
  take(match_identical_fact);
  return key;
}

std::optional<double> match_residual(const std::map<std::string, std::string>& facts) {
  const auto value = number(facts, match_value_fact), target = number(facts, match_target_fact);
  if (!value || !target || *target == 0) return std::nullopt;
  return *value / *target - 1;
}

void expect_complete(const MatchKey& key) {
  const auto expect = [&](std::string_view fact) {
    if (!entry(key, fact))
      throw Error(
          fmt::format("the run's matching key lacks '{}', so no run could be compared with "
                      "it; add it to the facts of its log",
                      fact));
  };
  for (const MatchKeyEntry& wanted : match_key_entries) expect(wanted.fact);
  expect(match_value_fact);
  expect(match_tolerance_fact);
}

bool must_agree(const MatchKey& a, const MatchKey& b, std::string_view identical) {
  return asks_for(a, identical) && asks_for(b, identical);
}

std::vector<std::string> differences(const MatchKey& a, const MatchKey& b) {
  std::vector<std::string> reasons;
  for (const MatchKeyEntry& wanted : match_key_entries) {
    if (!wanted.identical.empty() && !must_agree(a, b, wanted.identical)) continue;
    const auto left = entry(a, wanted.fact), right = entry(b, wanted.fact);
    if (left && left == right) continue;
    reasons.push_back(fmt::format("{} {}: {} and {}", wanted.words,
                                  left || right ? "differs" : "is unknown", shown(a, wanted.fact),
                                  shown(b, wanted.fact)));
  }
  compare_values(a, b, reasons);
  return reasons;
}

}  // namespace metascale
