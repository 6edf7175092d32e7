// The claims of made-up runs, and the numbers that their evidence says.
#pragma once

#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

#include "analysis/claims.hpp"
#include "analysis/report.hpp"
#include "tests/support/analysis_fixture.hpp"

namespace metascale::fixture {

inline std::vector<Claim> claims_of(Collection collection) {
  const ReportOptions options{
      .bootstrap_pairs = 1000, .bootstrap_fits = 20, .fit_starts = 50, .figures = false};
  return analyse(std::move(collection), options).claims;
}
inline std::vector<Claim> claims_of(std::vector<RunLog> logs) {
  return claims_of(collection_of(std::move(logs)));
}
inline std::vector<Claim> claims_of(const SweepTruth& truth) {
  return claims_of(sweep_logs(truth));
}

inline const Claim& claim(const std::vector<Claim>& claims, const std::string& letter) {
  for (const Claim& candidate : claims)
    if (candidate.letter == letter) return candidate;
  throw std::runtime_error("no claim " + letter);
}

// Of the first evidence whose place contains these words; empty: none does.
inline std::string evidence_at(const Claim& claim, const std::string& words) {
  for (const Evidence& entry : claim.evidence)
    if (entry.where.find(words) != std::string::npos) return entry.value;
  return "";
}

// The claim's number of that measure, at that size where one is named.
inline const ClaimValue& value_at(const Claim& claim, const std::string& measure,
                                  const std::string& size = "") {
  for (const ClaimValue& value : claim.values)
    if (value.measure == measure && (size.empty() || value.size == size)) return value;
  throw std::runtime_error("claim " + claim.letter + " has no " + measure + " at " + size);
}
inline bool holds_value(const Interval& interval, double value) {
  return interval.low <= value && value <= interval.high;
}

// "+1.24 % [+0.98, +1.51] %" as 1.24, 0.98, 1.51.
inline std::vector<double> numbers_in(const std::string& text) {
  static const std::regex number("[+-][0-9]+\\.[0-9]+");
  std::vector<double> numbers;
  for (std::sregex_iterator found(text.begin(), text.end(), number), end; found != end; ++found)
    numbers.push_back(std::stod(found->str()));
  return numbers;
}

}  // namespace metascale::fixture
