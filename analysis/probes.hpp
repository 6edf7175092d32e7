// Runs on tasks with known answers: how much of them is right, over seeds, and by how much arms
// differ on the same examples [docs/probes.md].
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "analysis/report.hpp"
#include "analysis/share.hpp"

namespace metascale {

// One run at one tested length.
struct Accuracy {
  double answers = 0;         // share of the answers that are right
  double sequences = 0;       // share of the examples without a mistake
  std::int64_t examples = 0;  // that it was tested on
};

// By tested length, of the final evaluation.
std::map<std::int64_t, Accuracy> accuracies(const Run& run);

SeedShare answers_of(const Accuracy& accuracy);

std::int64_t trained_length(const Cell& cell);  // tokens; 0 if it was not logged
// Share of right answers at the trained length, mean over seeds; NaN without such a test.
double trained_accuracy(const Cell& cell);

// Right answers by how far back the oldest token lies that an answer needs.
struct ProbeBin {
  std::int64_t tested = 0;           // tokens of an example
  std::int64_t first = 0, last = 0;  // distance, tokens, inclusive
  std::vector<SeedShare> seeds;
};
// By tested length, then by distance; bins in which nothing was asked are left out.
std::vector<ProbeBin> probe_bins(const Cell& cell);

// What the runs of a cell are, by their logs; 0 or empty: not logged, or the task has none.
struct ProbeSetting {
  std::string task, parameters;  // of the task, without pairs: "vocabulary=256 power=0.01"
  std::int64_t layers = 0, width = 0, head_size = 0, pairs = 0;
  std::int64_t trained = 0;  // tokens
  // Numbers kept per sequence: the WKV states, or keys and values of as many tokens as trained at.
  std::int64_t state = 0;
  double chance = __builtin_nan("");  // share of right answers by a uniform guess
};
ProbeSetting probe_setting(const Cell& cell);

// Two arms at one task, size and tested length. Intervals count an example as one answer.
struct ProbeDifference {
  std::string task, size, length, subject, other;  // length: of the training, as in the sweep
  std::int64_t trained = 0, tested = 0;            // tokens
  std::size_t seeds = 0;                           // that both arms have
  Share subject_accuracy, other_accuracy;
  Share difference;  // subject less other, paired by seed
  std::vector<const Run*> runs;
};

// Of all cells on probes that both arms have.
std::vector<ProbeDifference> probe_differences(const Report& report, const std::string& subject,
                                               const std::string& other);

}  // namespace metascale
