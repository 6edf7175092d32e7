#include "analysis/probes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "analysis/support/random.hpp"

namespace metascale {
namespace {

constexpr int interval_draws = 20000;

// Variance of a share of that many examples. One of none or all of them is not free of noise:
// two more are added, one right and one wrong [Agresti, Coull 1998].
double share_variance(double share, std::int64_t examples) {
  const double count = double(examples) + 2, middle = (share * double(examples) + 1) / count;
  return middle * (1 - middle) / count;
}

Share share_of(const std::vector<double>& values, double example_variance, double confidence) {
  Share share;
  const double count = double(values.size());
  for (const double value : values) share.value += value / count;
  if (values.size() < 2) return share;
  double squares = 0;
  for (const double value : values) squares += (value - share.value) * (value - share.value);
  const double error = std::sqrt(squares / (count - 1) / count);
  CounterRandom random(1, 2);
  std::vector<double> draws(interval_draws);
  for (double& draw : draws)
    draw = share.value + error * random.student_t(std::int64_t(values.size()) - 1) +
           std::sqrt(example_variance) * random.normal();
  share.interval = percentile_interval(std::move(draws), confidence);
  return share;
}

const Run* run_of_seed(const Cell& cell, std::int64_t seed) {
  for (const Run* run : cell.runs)
    if (run->seed == seed) return run;
  return nullptr;
}

// All seeds are tested on the same examples: their noise is not less for many seeds.
void measure(ProbeDifference& entry, const std::vector<Accuracy>& own,
             const std::vector<Accuracy>& others, double confidence) {
  std::vector<double> mine, theirs, gains;
  double my_variance = 0, their_variance = 0;
  for (std::size_t i = 0; i < own.size(); ++i) {
    mine.push_back(own[i].answers), theirs.push_back(others[i].answers);
    gains.push_back(mine.back() - theirs.back());
    my_variance = std::max(my_variance, share_variance(own[i].answers, own[i].examples));
    their_variance =
        std::max(their_variance, share_variance(others[i].answers, others[i].examples));
  }
  entry.seeds = own.size();
  entry.subject_accuracy = share_of(mine, my_variance, confidence);
  entry.other_accuracy = share_of(theirs, their_variance, confidence);
  entry.difference = share_of(gains, my_variance + their_variance, confidence);
}

void compare_cells(const Report& report, const Cell& own, const Cell& other,
                   std::vector<ProbeDifference>& found) {
  std::map<std::int64_t, std::pair<std::vector<Accuracy>, std::vector<Accuracy>>> lengths;
  std::vector<const Run*> runs;
  for (const Run* run : own.runs) {
    const Run* partner = run_of_seed(other, run->seed);
    if (partner == nullptr ||
        run->final_evaluation()->digest != partner->final_evaluation()->digest)
      continue;
    runs.insert(runs.end(), {run, partner});
    const auto theirs = accuracies(*partner);
    for (const auto& [length, accuracy] : accuracies(*run))
      if (const auto at = theirs.find(length); at != theirs.end()) {
        lengths[length].first.push_back(accuracy);
        lengths[length].second.push_back(at->second);
      }
  }
  for (const auto& [tested, values] : lengths) {
    ProbeDifference entry{.task = own.runs.front()->fact("probe_task").value_or(""),
                          .size = own.size,
                          .length = own.length,
                          .subject = own.arm,
                          .other = other.arm,
                          .trained = trained_length(own),
                          .tested = tested,
                          .runs = runs};
    measure(entry, values.first, values.second, report.confidence);
    found.push_back(std::move(entry));
  }
}

}  // namespace

std::map<std::int64_t, Accuracy> accuracies(const Run& run) {
  std::map<std::int64_t, ProbeRow> sums;
  for (const ProbeRow& row : run.final_evaluation()->probes) {
    ProbeRow& sum = sums[row.length];
    sum.scored += row.scored, sum.correct += row.correct;
    sum.examples = row.examples, sum.solved = row.solved;  // of the last bin: of all answers
  }
  std::map<std::int64_t, Accuracy> found;
  for (const auto& [length, sum] : sums)
    if (sum.scored > 0 && sum.examples > 0)
      found[length] = {double(sum.correct) / double(sum.scored),
                       double(sum.solved) / double(sum.examples), sum.examples};
  return found;
}

std::int64_t trained_length(const Cell& cell) {
  return std::int64_t(cell.runs.front()->number("context").value_or(0));
}

double trained_accuracy(const Cell& cell) {
  double sum = 0;
  for (const Run* run : cell.runs) {
    const auto found = accuracies(*run);
    const auto at = found.find(trained_length(cell));
    if (at == found.end()) return std::numeric_limits<double>::quiet_NaN();
    sum += at->second.answers;
  }
  return sum / double(cell.runs.size());
}

std::vector<ProbeDifference> probe_differences(const Report& report, const std::string& subject,
                                               const std::string& other) {
  std::vector<ProbeDifference> found;
  for (const Cell& own : report.probe_cells) {
    if (own.arm != subject) continue;
    for (const Cell& candidate : report.probe_cells)
      if (candidate.arm == other && candidate.size == own.size && candidate.length == own.length)
        compare_cells(report, own, candidate, found);
  }
  return found;
}

}  // namespace metascale
