// From a definition to its runs: arms x axes, every model matched, every length in whole batches,
// every run with its identity. Needs no data on disk.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "experiments/config.hpp"
#include "experiments/plan.hpp"
#include "sweeps/definition.hpp"

namespace metascale {

struct PlannedRun {
  RunConfig config;
  ModelCounts counts;
  double tokens = 0;  // that this run itself trains on: of a branch, its decay phase only
  double flops = 0;
  ResourceSettings resources;
  // Its rates, and with them its id, come from trials that are not done.
  bool waits_for_tuning = false;
};

// What a pair of arms agrees on at one size. Listed for every pair of every size.
struct PairMismatch {
  std::string size, first, second;
  std::string quantity;  // the matched one
  double target = 0, first_value = 0, second_value = 0;
  double mismatch = 0;  // (second - first) / target
};

struct Resolution {
  std::vector<PlannedRun> runs;  // trials first, then trunks before their branches
  std::vector<PairMismatch> pairs;
  double tokens = 0, flops = 0;  // of all runs
};

// The values that a tuning chose: arm -> key of training -> value.
using TuningChoices = std::map<std::string, std::map<std::string, double>>;

// Throws Error{usage} with file:line: key.
// Without the choices of a tuning the main runs carry its presets and say waits_for_tuning.
Resolution resolve(const Definition& definition, const TuningChoices& choices = {});

// The trial of each arm with the least validation loss; losses: run id -> loss, of all trials of
// the resolution, infinite where it diverged. Empty while a trial is missing. Throws Error{usage}
// where all trials of an arm diverged.
TuningChoices choose(const Definition& definition, const Resolution& resolution,
                     const std::map<std::string, double>& losses);

// "<arm>-<size>-<length>-s<seed>-<8 hex>". The hash covers what changes the result: model, data by
// name, order, seeds, optimizer, schedule, length, precision; not paths, devices, micro-batch,
// logging.
std::string run_id(const RunConfig& config);
std::string identity_text(
    const RunConfig& config);  // the text that is hashed, one key=value a line

// Selects runs for --only and --skip: '*' and '?' as in file names, against the id. Pairs and
// totals are those of the runs that remain. Throws Error{usage} where a pattern matches no run.
bool matches_pattern(const std::string& id, const std::string& pattern);
Resolution selected(Resolution resolution, const std::vector<std::string>& only,
                    const std::vector<std::string>& skip);

}  // namespace metascale
