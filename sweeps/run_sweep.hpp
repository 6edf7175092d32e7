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

// Throws Error{usage} where the definition's budget refuses so many hours. hours: of this machine
// or these GPUs, added up over runs.
void check_budget(const Definition& definition, double gpu_hours, double hours);
// Whether hours of this sweep are hours of GPUs.
bool asks_for_gpus(const Definition& definition);
// "budget: needs 13.5 of 12.0 hours: above it; cost: 33.75 (13.5 GPU hours at 2.5)"; hours: of one
// device (or slot), added up over runs; nothing where they are not known. Empty where the
// definition has neither such a budget nor a price.
std::string budget_text(const Definition& definition, std::optional<double> hours);

}  // namespace metascale
