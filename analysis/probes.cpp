#include "analysis/probes.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <sstream>
#include <tuple>

#include "core/error.hpp"
#include "core/yaml.hpp"

namespace metascale {
namespace {

const Run* run_of_seed(const Cell& cell, std::int64_t seed) {
  for (const Run* run : cell.runs)
    if (run->seed == seed) return run;
  return nullptr;
}

// Heads times their size; heads are in the configuration only, where they may be left to the width.
std::int64_t attention_width(const Run& run, const ProbeSetting& setting) {
  try {
    const YamlNode root = parse_yaml(run.log.configuration, run.id);
    const YamlNode* model = root.find("model");
    const YamlNode* heads = model == nullptr ? nullptr : model->find("heads");
    const std::int64_t count = heads == nullptr ? 0 : read_integer(*heads);
    if (count > 0) return count * setting.head_size;
  } catch (const Error&) {  // the configuration is only shown: a report does not fail by it
  }
  return setting.width;
}

// The text of a fact "task=mqar vocabulary=256 pairs=4 power=0.01" without task and pairs.
void read_parameters(const std::string& identity, ProbeSetting& setting) {
  std::istringstream words(identity);
  for (std::string word; words >> word;) {
    if (word.starts_with("pairs="))
      setting.pairs = std::strtoll(word.c_str() + std::strlen("pairs="), nullptr, 10);
    else if (!word.starts_with("task="))
      setting.parameters += (setting.parameters.empty() ? "" : " ") + word;
  }
}

void measure(const Report& report, const std::vector<Accuracy>& own,
             const std::vector<Accuracy>& others, ProbeDifference& entry) {
  std::vector<SeedShare> mine, theirs;
  for (const Accuracy& accuracy : own) mine.push_back(answers_of(accuracy));
  for (const Accuracy& accuracy : others) theirs.push_back(answers_of(accuracy));
  entry.seeds = own.size();
  entry.subject_accuracy = report.shares->of(mine, report.confidence);
  entry.other_accuracy = report.shares->of(theirs, report.confidence);
  entry.difference = report.shares->difference(mine, theirs, report.confidence);
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
    measure(report, values.first, values.second, entry);
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

SeedShare answers_of(const Accuracy& accuracy) { return {accuracy.answers, accuracy.examples}; }

std::vector<ProbeBin> probe_bins(const Cell& cell) {
  std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t>, ProbeBin> bins;
  for (const Run* run : cell.runs)
    for (const ProbeRow& row : run->final_evaluation()->probes) {
      if (row.scored <= 0) continue;
      ProbeBin& bin = bins[{row.length, row.first, row.last}];
      bin.tested = row.length, bin.first = row.first, bin.last = row.last;
      // Answers of one example are not independent: it counts once at most.
      bin.seeds.push_back(
          {double(row.correct) / double(row.scored), std::min(row.scored, row.examples)});
    }
  std::vector<ProbeBin> found;
  for (auto& [place, bin] : bins) found.push_back(std::move(bin));
  return found;
}

ProbeSetting probe_setting(const Cell& cell) {
  const Run& run = *cell.runs.front();
  const auto whole = [&](const char* key) { return std::int64_t(run.number(key).value_or(0)); };
  ProbeSetting setting{.task = run.fact("probe_task").value_or("-"),
                       .layers = whole("layers"),
                       .width = whole("width"),
                       .head_size = whole("head_size"),
                       .trained = trained_length(cell)};
  read_parameters(run.fact("probe").value_or(""), setting);
  setting.chance = run.number("probe_chance").value_or(setting.chance);
  const bool keeps_tokens = run.architecture.starts_with("transformer");
  setting.state = setting.layers * attention_width(run, setting) *
                  (keeps_tokens ? 2 * setting.trained : setting.head_size);
  return setting;
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
