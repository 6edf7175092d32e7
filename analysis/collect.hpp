// From a results folder to its runs: what each run is, how it ended, what it measured. A run is
// known only through its own files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "analysis/context_costs.hpp"
#include "analysis/device_use.hpp"
#include "analysis/paired.hpp"
#include "core/run_file.hpp"

namespace metascale {

enum class RunState { done, failed, unfinished, unreadable };
const char* name_of(RunState state);

struct CurvePoint {
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  double flops = 0;  // model FLOPs since step 0
  double hours = 0;  // wall time of the steps so far
  double loss = 0;   // nats per token of the step's batch
};

// What a run had trained on after a step.
struct DataMark {
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  std::uint64_t digest = 0;  // running, of all token ids so far
};

struct Run {
  std::string id;
  std::string folder;  // relative to the results folder
  std::string arm, architecture, size, length;
  std::string role = "run";  // run | trial (of tuning) | trunk (of branches)
  std::int64_t seed = 0;
  RunState state = RunState::unreadable;
  std::string reason;  // why it is not done; empty if it is
  std::string damage;  // of the other file of its log: "read from its journal: run.h5 is damaged"
  RunLog log;          // without steps and segments, which are condensed into:
  std::vector<CurvePoint> curve;        // thinned, extremes kept, only finite losses
  std::vector<CurvePoint> trend;        // means over stretches that grow with the step, for figures
  std::vector<DocumentLoss> documents;  // of the final evaluation
  std::int64_t steps = 0;               // done
  std::int64_t tokens = 0;              // trained on
  double flops = 0;                     // achieved training FLOPs, model FLOPs
  double own_hours = 0;                 // wall time of its own steps
  double hours = 0;                     // the same, a branch's trunk included
  double step_seconds = 0;              // of its own steps, median; NaN: none was logged
  double tokens_per_second = 0;         // median over steps
  std::int64_t non_finite_rows = 0;     // steps whose loss is NaN or infinite
  std::vector<DataMark> marks;          // at the steps of evaluations, and at the last
  std::vector<CurvePoint> trunk;        // of a trunk: all steps, for its branches
  std::string parent;                   // the run that it branched from or grew out of; empty: none
  CurvePoint inherited;                 // where it left its parent; step 0: it has none
  std::optional<DeviceUse> device_use;  // of all its starts, where they were logged
  std::string left_out;                 // why it is not compared though it could be
  bool doubled_rate = false;            // eigenvalues to -1: not the published RWKV-7's transitions

  // Whether it is one of the runs that the sweep compares: neither a trial nor a trunk nor
  // superseded, with an arm.
  bool is_compared() const { return role == "run" && !arm.empty() && left_out.empty(); }
  // Whether it ran on a task with known answers instead of a text: its loss is no loss on text.
  bool is_probe() const { return fact("probe_task").has_value(); }
  // The final evaluation on test, or on validation if test was never opened; nullptr: none.
  const Evaluation* final_evaluation() const;
  std::optional<std::string> fact(const std::string& key) const;
  std::string tokenizer() const;  // its name and version, "bytes v1"; "unknown": it was not logged
  std::optional<double> number(const std::string& key) const;  // a fact that reads as a number
  // Averages of the final evaluation, nats per token and bits per byte; NaN without one.
  double final_loss() const;
  double final_bits_per_byte() const;
};

struct CollectOptions {
  std::size_t curve_points = 600;  // per run, at most
  std::size_t trend_points = 90;
  int threads = 1;
  std::size_t all_points = 60000;  // of all runs' curves together, which a page has to carry
};

struct Collection {
  std::filesystem::path folder;
  std::string sweep;                    // its name
  std::vector<std::string> arms;        // in the sweep's order; the first is the baseline
  std::vector<Run> runs;                // by arm, parameters, length, seed
  std::vector<std::string> notes;       // what was odd about the folder
  std::optional<ContextCosts> context;  // of the folder's context.json
  DevicePrices prices;
  std::map<std::string, double> planned_hours;  // by run id, where the plan knew
  std::set<std::string> unpublished;            // arms with a run of doubled_rate, by settle

  std::string baseline() const { return arms.empty() ? "" : arms.front(); }
  // Claims are about published models only.
  bool is_published(const std::string& arm) const { return !unpublished.contains(arm); }
};

// Sums of the segments by document, in ascending order.
std::vector<DocumentLoss> document_losses(const std::vector<SegmentRow>& segments);

// Reads results/<sweep>, or a single run folder. A run that cannot be read is in the result, with
// the reason; one that sweep.lock.yaml does not name is left out. Throws Error{bad_input} only if
// the folder itself does not exist.
Collection collect(const std::filesystem::path& folder, const CollectOptions& options = {});

// A run out of a log. `folder` holds DONE, FAILED and state.json; if it is empty, the log's fact
// "status" says how the run ended.
Run summarise(RunLog log, const std::filesystem::path& folder, const CollectOptions& options = {});

// Sorts runs, settles the order of arms and which are unpublished, gives branches the hours of
// their trunks, and leaves out done runs of one arm, size, length and seed, of which nothing says
// which counts. collect does it; so must who builds runs in memory.
void settle(Collection& collection);

}  // namespace metascale
