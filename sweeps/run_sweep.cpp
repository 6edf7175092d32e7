#include "sweeps/run_sweep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/local_ranks.hpp"
#include "experiments/trainer.hpp"
#include "sweeps/submit/grouping.hpp"

namespace metascale {
namespace {

using Losses = std::map<std::string, double>;

std::vector<PlannedRun> trials_of(const Resolution& resolution) {
  std::vector<PlannedRun> trials = resolution.runs;
  std::erase_if(trials, [](const PlannedRun& run) { return run.config.role != Role::trial; });
  return trials;
}

// Of the resolution's trials that are over.
Losses losses_of(const Resolution& resolution, const Ledger& ledger) {
  return ledger.validation_losses(trials_of(resolution));
}

// Those that resources.ranks asks for by name: GPUs of a batch system make none here.
std::int64_t ranks_of(const PlannedRun& run) {
  const std::int64_t ranks = run.resources.ranks.value_or(1);
  if (ranks > most_local_ranks)
    throw Error(fmt::format("{}: resources.ranks: {} ranks on one machine; at most {} are started "
                            "here, more by metascale submit",
                            run.config.id, ranks, most_local_ranks),
                ExitCode::usage);
  return ranks;
}

std::vector<Job> jobs_of(const Resolution& resolution, const Ledger& ledger) {
  const Losses losses = losses_of(resolution, ledger);
  const auto has_diverged = [&](const PlannedRun& run) {
    const auto loss = losses.find(run.config.id);
    return loss != losses.end() && std::isinf(loss->second);
  };
  std::vector<Job> jobs;
  for (const PlannedRun& run : resolution.runs)
    if (!run.waits_for_tuning && !has_diverged(run))
      jobs.push_back({.id = run.config.id,
                      .folder = ledger.run_folder(run.config.id),
                      .parent = run.config.parent.run,
                      .ranks = ranks_of(run)});
  return jobs;
}

ExecutorOptions executor_options(const Definition& definition, const RunSweepOptions& options,
                                 const Ledger& ledger, std::size_t runs) {
  const auto* local = std::get_if<LocalLaunch>(&definition.launch.how);
  if (!local)
    throw error_at(definition.launch.place, "this sweep is for a batch system",
                   "start it with metascale submit, or write launch: {local: {slots: auto}}");
  if (!can_train_on(definition.device))
    throw error_at(definition.place, "device: cuda: this program was built without CUDA",
                   "write device: cpu, or build with: cmake --preset cuda");
  ExecutorOptions executor = options.executor;
  if (!executor.slots) executor.slots = local->slots;
  if (!executor.slots && definition.device == Device::cuda) executor.slots = 1;  // one run a GPU
  if (!executor.threads) executor.threads = local->threads;
  const SlotPlan plan = plan_slots(available_cores(), executor.slots, executor.threads, runs);
  executor.slots = std::int64_t(plan.slots.size()), executor.threads = plan.threads;
  executor.retries = definition.policy.retries;
  executor.is_cancelled = [](const Job& job) {
    return std::filesystem::exists(job.folder / "CANCELLED");
  };
  if (definition.policy.on_failure == OnFailure::stop) executor.on_failure = OnFailure::stop;
  const ExecutorEvents told = executor.events;
  executor.events.started = [told, &ledger](const Job& job, int attempt,
                                            const std::vector<int>& cores) {
    ledger.event("started", job.id, fmt::format("attempt {} on {} cores", attempt, cores.size()));
    if (told.started) told.started(job, attempt, cores);
  };
  executor.events.ended = [told, &ledger](const Job& job, int code, const std::string& what_now) {
    ledger.event("ended", job.id, fmt::format("exit code {}: {}", code, what_now));
    if (told.ended) told.ended(job, code, what_now);
  };
  return executor;
}

// As many as executor_options gives each run.
double cores_of_slot(const Definition& definition, std::size_t runs) {
  const LocalLaunch& local = std::get<LocalLaunch>(definition.launch.how);
  if (local.threads) return double(local.threads);
  const std::int64_t slots = local.slots || definition.device != Device::cuda ? local.slots : 1;
  const auto cores = available_cores();
  if (slots > std::int64_t(cores.size())) return 1;  // planned on another machine
  return double(plan_slots(cores, slots, 0, runs).threads);
}

double price_of(const Definition& definition) {
  return asks_for_gpus(definition) ? definition.budget.price_per_gpu_hour
                                   : definition.budget.price_per_core_hour;
}

bool waits(const PlannedRun& run) { return run.waits_for_tuning; }

// The main runs of a sweep whose tuning is not over: in the result, and why in its notes.
void add_waiting_runs(Execution& execution, const Resolution& all, const Resolution& chosen,
                      const Ledger& ledger) {
  std::int64_t count = 0;
  for (const PlannedRun& run : chosen.runs) {
    if (!waits(run)) continue;
    execution.results.push_back({.id = run.config.id, .outcome = Outcome::waiting});
    ++count;
  }
  if (!count) return;
  const auto trials = trials_of(all), started = trials_of(chosen);
  execution.notes.push_back(fmt::format(
      "{} runs wait for their tuning: {} of its {} trials are not over{}", count,
      trials.size() - losses_of(all, ledger).size(), trials.size(),
      started.size() < trials.size() ? fmt::format(", and --only or --skip leaves {} of them out",
                                                   trials.size() - started.size())
                                     : std::string()));
}

}  // namespace

TuningChoices known_choices(const Definition& definition, const Ledger& ledger) {
  if (!definition.match.tuning) return {};
  const Resolution trials = resolve(definition);
  return choose(definition, trials, losses_of(trials, ledger));
}

Resolution resolve_with_ledger(const Definition& definition, const Ledger& ledger) {
  return resolve(definition, known_choices(definition, ledger));
}

Execution run_sweep(const Definition& definition, Ledger& ledger, const RunSweepOptions& options) {
  Resolution all = resolve_with_ledger(definition, ledger), chosen;
  const auto executor =
      make_local_executor(executor_options(definition, options, ledger, all.runs.size()));
  const auto run = [&] {
    chosen = selected(all, options.only, options.skip);
    ledger.update(definition, all);
    return executor->run(jobs_of(chosen, ledger));
  };
  const auto any_waits = [&] { return std::any_of(all.runs.begin(), all.runs.end(), waits); };
  Execution execution = run();
  if (any_waits() && execution.stopped == Stop::none) {
    all = resolve_with_ledger(definition, ledger);  // the trials' choice may have a name now
    if (!any_waits()) execution = run();
  }
  if (any_waits()) add_waiting_runs(execution, all, chosen, ledger);
  return execution;
}

void check_budget(const Definition& definition, double gpu_hours, double hours) {
  const BudgetDefinition& budget = definition.budget;
  if (!budget.refuse_above) return;
  const auto check = [&](const char* what, double needed, double allowed) {
    if (allowed > 0 && needed > allowed)
      throw error_at(
          budget.place,
          fmt::format("the plan needs {:.1f} {}, the budget has {:.1f}", needed, what, allowed),
          "raise it, drop runs (exclude), or write refuse_above: false");
  };
  check("GPU hours", gpu_hours, budget.gpu_hours);
  check("hours", hours, budget.hours);
}

std::optional<PlannedHours> planned_hours(const Definition& definition,
                                          const Resolution& resolution, const Ledger& ledger) {
  const StepSeconds seconds(ledger.folder());
  const bool gpus = asks_for_gpus(definition),
             is_local = std::holds_alternative<LocalLaunch>(definition.launch.how);
  PlannedHours sum;
  for (const PlannedRun& run : resolution.runs) {
    const std::optional<double> hours = seconds.hours(run);
    if (!hours) return std::nullopt;
    const JobResources job = job_resources(run.resources);
    sum.slots += *hours;
    sum.devices += *hours * (gpus ? job.gpus_per_run() : job.cores_per_run());
  }
  if (is_local && !gpus)
    sum.devices = sum.slots * cores_of_slot(definition, resolution.runs.size());
  return sum;
}

std::optional<double> planned_cost(const Definition& definition,
                                   const std::optional<PlannedHours>& hours) {
  const double price = price_of(definition);
  if (!hours || !(price > 0)) return std::nullopt;
  return hours->devices * price;
}

std::string budget_text(const Definition& definition, const std::optional<PlannedHours>& hours) {
  const BudgetDefinition& budget = definition.budget;
  const bool gpus = asks_for_gpus(definition);
  const char* unit = gpus ? "GPU hours" : "hours";
  const double allowed = gpus ? budget.gpu_hours : budget.hours;
  const auto price = planned_cost(definition, hours);
  std::string cost = price
                         ? fmt::format("cost: {:.2f} ({:.1f} {} hours at {})", *price,
                                       hours->devices, gpus ? "GPU" : "core", price_of(definition))
                         : "";
  if (!(allowed > 0)) return cost;
  if (!hours)
    return fmt::format("budget: {:.1f} {}; what the plan needs is not known", allowed, unit);
  const double needed = gpus ? hours->devices : hours->slots;
  return fmt::format("budget: needs {:.1f} of {:.1f} {}{}{}{}", needed, allowed, unit,
                     needed > allowed ? ": above it" : "", cost.empty() ? "" : "; ", cost);
}

}  // namespace metascale
