#include "sweeps/resolve.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "sweeps/gpu_memory.hpp"
#include "sweeps/resolve/cells.hpp"
#include "sweeps/resolve/grown.hpp"
#include "sweeps/scheduler.hpp"
#include "sweeps/submit/grouping.hpp"
#include "sweeps/token_files.hpp"

namespace metascale {
namespace {

using resolving::CellRun;
using resolving::Sizes;

// Runs that differ in their length only share a trunk where the schedule is wsd.
using TrunkKey = std::tuple<std::size_t, std::size_t, std::size_t>;  // arm, size, seed

std::vector<GridCell> chosen_cells(const Definition& definition) {
  std::vector<GridCell> cells;
  for (const GridCell& cell : definition.grid) {
    const bool excluded =
        std::any_of(definition.exclude.begin(), definition.exclude.end(),
                    [&](const Selector& selector) { return selector.matches(cell); });
    if (!excluded) cells.push_back(cell);
  }
  return cells;
}

double own_steps(const RunConfig& config) {
  return double(config.training.steps - config.parent.step);
}

// Which device is theirs would be anybody's guess.
void check_device(const Definition& definition, const PlannedRun& run) {
  if (!definition.device_is_auto || definition.device == Device::cpu) return;
  if (run.resources.gpus.value_or(0) > 0) return;
  throw error_at(
      definition.place,
      fmt::format("device is auto, the resources of some runs ask for GPUs, and those of "
                  "{} for none",
                  run.config.id),
      "write device: cuda or device: cpu, or gpus for all of them");
}

// A batch system would be asked for what it cannot give.
void check_job(const Definition& definition, const ResourceSettings& settings) {
  if (std::holds_alternative<LocalLaunch>(definition.launch.how)) return;
  const auto found = contradiction_in(job_resources(settings), definition.launch.job);
  if (!found) return;
  Place place = definition.launch.place;  // of signal_before, where nothing was written of the key
  for (const char* key : {"gpus", "nodes", "ranks", "runs_per_node", "runs_per_gpu", found->key})
    if (const auto given = settings.given.find(key); given != settings.given.end())
      place = given->second;
  throw error_at(place, found->wrong, found->right);
}

PlannedRun planned(const Definition& definition, const CellRun& run,
                   AutomaticMicroBatches& micro_batch_of) {
  PlannedRun planned{.config = run.config, .counts = run.counts};
  planned.tokens = own_steps(run.config) * double(run.config.training.batch_tokens);
  planned.flops = planned.tokens * run.counts.flops_per_token;
  planned.resources = definition.resources.standard;
  for (const auto& [selector, settings] : definition.resources.when) {
    if (selector.matches(run.cell)) planned.resources = merged(planned.resources, settings);
  }
  check_device(definition, planned);
  check_job(definition, planned.resources);
  if (planned.config.training.micro_batch == 0)
    planned.config.training.micro_batch = micro_batch_of(planned);
  return planned;
}

// One trunk for the runs of one (arm, size, seed), which become branches of it.
CellRun make_trunk(std::vector<CellRun*>& branches) {
  std::sort(branches.begin(), branches.end(), [](const CellRun* a, const CellRun* b) {
    return a->config.training.steps < b->config.training.steps;
  });
  CellRun trunk = *branches.back();
  RunConfig& config = trunk.config;
  config.role = Role::trunk;
  config.match["role"] = name_of(Role::trunk);
  config.length = "trunk";
  config.data.test.clear();  // it ends undecayed: nobody compares it
  config.training.steps = trunk.config.training.steps - config.training.schedule.decay_steps;
  config.training.schedule.decay_steps = 0;
  // Of the shortest: a longer length that comes later leaves the trunk what it is.
  config.training.schedule.warmup_steps = branches.front()->config.training.schedule.warmup_steps;
  config.match["schedule"] = resolving::schedule_text(config.training.schedule);
  for (const CellRun* branch : branches) {
    const TrainingConfig& training = branch->config.training;
    config.log.checkpoint_at.push_back(training.steps - training.schedule.decay_steps);
  }
  config.id = run_id(config);
  for (CellRun* branch : branches) {
    TrainingConfig& training = branch->config.training;
    training.schedule.warmup_steps = config.training.schedule.warmup_steps;  // the trunk's own
    branch->config.match["schedule"] = resolving::schedule_text(training.schedule);
    branch->config.parent = {.run = config.id,
                             .step = training.steps - training.schedule.decay_steps};
    if (branch->config.parent.step <= training.schedule.warmup_steps)
      throw error_at(
          branch->place,
          fmt::format("the branch of length {} leaves its trunk at step {}, inside the {} steps of "
                      "warm-up",
                      branch->config.length, branch->config.parent.step,
                      training.schedule.warmup_steps),
          "lengthen it, or shorten the warm-up");
    branch->config.id = run_id(branch->config);
  }
  return trunk;
}

std::vector<CellRun> with_trunks(std::vector<CellRun> runs) {
  std::map<TrunkKey, std::vector<CellRun*>> groups;
  for (CellRun& run : runs)
    if (run.config.training.schedule.kind == ScheduleKind::wsd)
      groups[{run.cell.arm, run.cell.size, run.cell.seed}].push_back(&run);
  std::vector<CellRun> trunks;
  for (auto& [key, branches] : groups)
    if (branches.size() > 1) trunks.push_back(make_trunk(branches));
  trunks.insert(trunks.end(), std::make_move_iterator(runs.begin()),
                std::make_move_iterator(runs.end()));
  return trunks;
}

// Every pair of arms at every size that is used.
std::vector<PairMismatch> pair_table(const Definition& definition, const Sizes& sizes) {
  std::vector<PairMismatch> pairs;
  for (const auto& [size, matched] : sizes) {
    const auto& values = matched.result.values;
    for (std::size_t a = 0; a < values.size(); ++a)
      for (std::size_t b = a + 1; b < values.size(); ++b)
        pairs.push_back({.size = definition.axes.sizes[size].name,
                         .first = definition.arms[a].name,
                         .second = definition.arms[b].name,
                         .quantity = name_of(matched.request.on),
                         .target = matched.request.target,
                         .first_value = values[a],
                         .second_value = values[b],
                         .mismatch = (values[b] - values[a]) / matched.request.target});
  }
  return pairs;
}

void refuse_doubles(const std::vector<PlannedRun>& runs, const Definition& definition) {
  std::set<std::string> ids;
  for (const PlannedRun& run : runs)
    if (!ids.insert(run.config.id).second)
      throw error_at(
          definition.place, fmt::format("the run {} is there twice", run.config.id),
          "look for an include that the axes make already, or for arms that are the same");
}

// Two lengths of the same steps would be one run under two names. A growth's partners may well be
// what the axes make, too.
void refuse_equal_lengths(const std::vector<CellRun>& runs) {
  std::map<std::tuple<std::string, std::string, std::int64_t, std::string>, std::string> lengths;
  for (const CellRun& run : runs) {
    const RunConfig& config = run.config;
    if (config.role != Role::run || config.match.contains("scratch_partner_of")) continue;
    const std::string hash = config.id.substr(config.id.rfind('-') + 1);
    const auto [known, is_new] =
        lengths.emplace(std::tuple(config.arm, config.size, config.seed, hash), config.length);
    if (!is_new && known->second != config.length)
      throw error_at(run.place,
                     fmt::format("the lengths {} and {} are the same {} steps at size {}",
                                 known->second, config.length, config.training.steps, config.size),
                     "leave one of them out, also by 'exclude'");
  }
}

void add_up(Resolution& resolution) {
  resolution.tokens = resolution.flops = 0;
  for (const PlannedRun& run : resolution.runs) {
    resolution.tokens += run.tokens;
    resolution.flops += run.flops;
  }
}

bool any_matches(const std::vector<std::string>& patterns, const PlannedRun& run) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return matches_pattern(run.config.id, pattern);
  });
}

// The ids of runs that wait for their tuning are not known yet: a pattern may mean one of them.
void refuse_idle_patterns(const std::vector<PlannedRun>& runs,
                          const std::vector<std::string>& patterns) {
  for (const PlannedRun& run : runs)
    if (run.waits_for_tuning) return;
  for (const std::string& pattern : patterns)
    if (std::none_of(runs.begin(), runs.end(), [&](const PlannedRun& run) {
          return matches_pattern(run.config.id, pattern);
        }))
      throw Error(fmt::format("--only, --skip: no run of the sweep matches '{}'; metascale plan "
                              "lists the ids, such as {}",
                              pattern, runs.empty() ? "" : runs.front().config.id),
                  ExitCode::usage);
}

}  // namespace

Resolution resolve(const Definition& definition, const TuningChoices& choices) {
  check_token_files(definition);
  const std::vector<GridCell> cells = chosen_cells(definition);
  if (cells.empty() && definition.include.empty())
    throw error_at(definition.place, "every run is excluded", "remove an entry of exclude");
  Sizes sizes = resolving::match_sizes(definition, cells);

  Resolution resolution;
  AutomaticMicroBatches micro_batch_of;
  std::vector<CellRun> runs;
  const bool waits = definition.match.tuning && choices.empty();
  if (definition.match.tuning)
    for (const CellRun& trial : resolving::trials(definition, cells, sizes))
      resolution.runs.push_back(planned(definition, trial, micro_batch_of));
  for (const GridCell& cell : cells)
    runs.push_back(resolving::run_of_cell(definition, sizes, cell, {}, choices));
  for (const IncludeDefinition& include : definition.include)
    if (!include.growth)
      runs.push_back(
          resolving::run_of_cell(definition, sizes, include.cell, include.training, choices));
  runs = with_trunks(std::move(runs));
  for (const IncludeDefinition& include : definition.include)
    if (include.growth)
      for (CellRun& run : resolving::grown_runs(definition, include, runs))
        runs.push_back(std::move(run));
  refuse_equal_lengths(runs);
  for (const CellRun& run : runs) {
    resolution.runs.push_back(planned(definition, run, micro_batch_of));
    resolution.runs.back().waits_for_tuning = waits;
  }
  refuse_doubles(resolution.runs, definition);
  resolution.pairs = pair_table(definition, sizes);
  add_up(resolution);
  return resolution;
}

TuningChoices choose(const Definition& definition, const Resolution& resolution,
                     const std::map<std::string, double>& losses) {
  TuningChoices choices;
  if (!definition.match.tuning) return choices;
  std::map<std::string, double> best;
  for (const PlannedRun& run : resolution.runs) {
    if (run.config.role != Role::trial) continue;
    const auto loss = losses.find(run.config.id);
    if (loss == losses.end()) return {};
    const auto known = best.find(run.config.arm);
    if (!std::isfinite(loss->second) || (known != best.end() && known->second <= loss->second))
      continue;
    best[run.config.arm] = loss->second;
    for (const auto& [key, values] : definition.match.tuning->over)
      choices[run.config.arm][key] = resolving::optimizer_value(run.config.training.optimizer, key);
  }
  if (choices.size() < definition.arms.size())
    throw error_at(definition.match.tuning->place, "an arm has no trial with a finite loss",
                   "add gentler values to 'over'");
  return choices;
}

bool matches_pattern(const std::string& id, const std::string& pattern) {
  return fnmatch(pattern.c_str(), id.c_str(), 0) == 0;
}

Resolution selected(Resolution resolution, const std::vector<std::string>& only,
                    const std::vector<std::string>& skip) {
  refuse_idle_patterns(resolution.runs, only);
  refuse_idle_patterns(resolution.runs, skip);
  std::erase_if(resolution.runs, [&](const PlannedRun& run) {
    return (!only.empty() && !any_matches(only, run)) || any_matches(skip, run);
  });
  std::set<std::pair<std::string, std::string>> models;  // size, arm
  for (const PlannedRun& run : resolution.runs) models.emplace(run.config.size, run.config.arm);
  std::erase_if(resolution.pairs, [&](const PairMismatch& pair) {
    return !models.contains({pair.size, pair.first}) || !models.contains({pair.size, pair.second});
  });
  add_up(resolution);
  return resolution;
}

}  // namespace metascale
