// Runs on tasks with known answers: how much of them is right, over seeds, and by how much arms
// differ on the same examples [docs/probes.md].
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "analysis/interval.hpp"
#include "analysis/report.hpp"

namespace metascale {

// One run at one tested length.
struct Accuracy {
  double answers = 0;         // share of the answers that are right
  double sequences = 0;       // share of the examples without a mistake
  std::int64_t examples = 0;  // that it was tested on
};

// By tested length, of the final evaluation.
std::map<std::int64_t, Accuracy> accuracies(const Run& run);

std::int64_t trained_length(const Cell& cell);  // tokens; 0 if it was not logged
// Share of right answers at the trained length, mean over seeds; NaN without such a test.
double trained_accuracy(const Cell& cell);

struct Share {
  double value = 0;
  Interval interval;  // unknown with one seed
};

// Two arms at one task, size and tested length. An interval over S seeds adds Student's t with
// S - 1 degrees of freedom times the standard error of the seeds' values, and the deviation of a
// share of as many examples, as if an example had one answer: none is narrower than that.
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
