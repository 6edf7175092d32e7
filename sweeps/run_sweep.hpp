// From a definition to finished runs: resolve, fill the folders, tune where that is asked for, run
// the rest.
#pragma once

#include <optional>

#include "sweeps/executor.hpp"
#include "sweeps/ledger.hpp"

namespace metascale {

struct RunSweepOptions {
  std::vector<std::string> only, skip;  // patterns of run ids
  ExecutorOptions executor;             // slots, threads and retries of 0 come from the definition
};

// What is known of the tuning by now: the choices that finished trials make; empty while some are
// missing.
TuningChoices known_choices(const Definition& definition, const Ledger& ledger);

// The resolution with known_choices.
Resolution resolve_with_ledger(const Definition& definition, const Ledger& ledger);

// Runs what is not done. A trial that diverged is a result, the worst: it is not run again, and
// does not keep the main runs from starting. Runs whose trials are not over wait, and a note says
// so. Threads of each run: of the options, the definition, or auto: then from the machine's cores
// and the number of the sweep's runs, done or not, so that they are the same at every start. Throws
// Error{usage} for a launch that is not built.
Execution run_sweep(const Definition& definition, Ledger& ledger, const RunSweepOptions& options);

// Throws Error{usage} where the definition's budget refuses so many hours. gpu_hours: of single
// GPUs; hours: of slots.
void check_budget(const Definition& definition, double gpu_hours, double hours);

// Hours that runs take, added up over them.
struct PlannedHours {
  double slots = 0;    // each run counts once, whatever it runs on
  double devices = 0;  // times the GPUs of each run, or its cores where the sweep asks for no GPUs
};
// Nothing where one of the runs was not measured. Cores of runs on this machine are its slots'.
std::optional<PlannedHours> planned_hours(const Definition& definition,
                                          const Resolution& resolution, const Ledger& ledger);
// At the definition's price; nothing where that or the hours are not known.
std::optional<double> planned_cost(const Definition& definition,
                                   const std::optional<PlannedHours>& hours);
// "budget: needs 13.5 of 12.0 hours: above it; cost: 67.50 (27.0 core hours at 2.5)". Empty where
// the definition has neither such a budget nor a price.
std::string budget_text(const Definition& definition, const std::optional<PlannedHours>& hours);

}  // namespace metascale
