#include "sweeps/run_sweep.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace metascale {
namespace {

std::vector<Job> jobs_of(const std::vector<PlannedRun>& runs, const Ledger& ledger) {
  std::vector<Job> jobs;
  for (const PlannedRun& run : runs)
    if (!run.waits_for_tuning)
      jobs.push_back({.id = run.config.id,
                      .folder = ledger.run_folder(run.config.id),
                      .parent = run.config.parent.run});
  return jobs;
}

ExecutorOptions executor_options(const Definition& definition, const RunSweepOptions& options,
                                 const Ledger& ledger) {
  const auto* local = std::get_if<LocalLaunch>(&definition.launch.how);
  if (!local)
    throw error_at(definition.launch.place, "launching by slurm or template: not built yet",
                   "write launch: {local: {slots: auto}}");
  if (definition.device != Device::cpu)
    throw error_at(definition.place, "device: cuda: training on a GPU is not built yet",
                   "write device: auto");
  ExecutorOptions executor = options.executor;
  if (!executor.slots) executor.slots = local->slots;
  if (!executor.threads) executor.threads = local->threads;
  executor.retries = definition.policy.retries;
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

}  // namespace

TuningChoices known_choices(const Definition& definition, const Ledger& ledger) {
  if (!definition.match.tuning) return {};
  const Resolution trials = resolve(definition);
  return choose(definition, trials, ledger.validation_losses(trials.runs));
}

Resolution resolve_with_ledger(const Definition& definition, const Ledger& ledger) {
  return resolve(definition, known_choices(definition, ledger));
}

Execution run_sweep(const Definition& definition, Ledger& ledger, const RunSweepOptions& options) {
  const auto executor = make_local_executor(executor_options(definition, options, ledger));
  Resolution resolution = resolve_with_ledger(definition, ledger);
  const auto run = [&] {
    ledger.update(definition, resolution);
    return executor->run(jobs_of(selected(resolution.runs, options.only, options.skip), ledger));
  };
  Execution execution = run();
  const bool waits =
      std::any_of(resolution.runs.begin(), resolution.runs.end(),
                  [](const PlannedRun& planned) { return planned.waits_for_tuning; });
  if (!waits || execution.exit_code() != ExitCode::good) return execution;
  resolution =
      resolve_with_ledger(definition, ledger);  // the trials are done: their choice has a name now
  return run();
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

}  // namespace metascale
