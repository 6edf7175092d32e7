// Laws in N and D as they are drawn: loss against tokens, one curve per arm and size, beside the
// cells that were measured.
#pragma once

#include <string>
#include <vector>

#include "analysis/report.hpp"

namespace metascale {

struct LawPoint {  // a cell
  std::string length;
  std::vector<const Run*> runs;
  double tokens = 0;
  double loss = 0, deviation = 0;  // mean and deviation over seeds; NaN with one
  double fitted = 0;
};

struct LawCurve {
  std::string arm, size;
  double parameters = 0;         // N of the law: non-embedding
  std::vector<LawPoint> points;  // ascending by tokens
  std::vector<double> tokens;    // those of the points and a little beyond
  std::vector<double> loss;      // by the law, at each of these
  std::vector<Interval> band;    // likewise; without ends where the law has none
};

struct LawCurves {
  std::string key;    // of files: "chinchilla", "tied", "joint-meta_state"
  std::string title;  // "each arm alone: E + A N^-alpha + B D^-beta"
  std::string words;  // what the curves themselves do not show: ratios of a joint law, bad health
  std::vector<LawCurve> curves;  // arms in their order, sizes ascending
};

// Each arm's own laws, one kind after the other, then every arm with the baseline under one law.
std::vector<LawCurves> law_curves(const Report& report);

}  // namespace metascale
