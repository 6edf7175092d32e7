// What was used and what it cost: device-hours of all starts, and a token's cost against context.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "analysis/support/text.hpp"
#include "analysis/tables/cells.hpp"

namespace metascale {
namespace {

// All runs of one arm, size and length, whatever became of them.
struct Use {
  std::string arm, size, length;
  std::vector<const Run*> runs;
  std::int64_t logged = 0, attempts = 0, damaged = 0;
  double gpu_hours = 0, core_hours = 0, step_hours = 0;
  double flops = 0, planned_flops = 0;
  double planned_hours = 0;  // NaN where the plan did not know a run's
  double joules = 0;         // NaN where a start has none
};

void add_run(Use& use, const Run& run, const std::map<std::string, double>& planned_hours) {
  use.runs.push_back(&run);
  const auto planned = planned_hours.find(run.id);
  use.planned_hours += planned != planned_hours.end() ? planned->second : std::nan("");
  use.step_hours += run.own_hours;
  use.flops += run.flops - run.inherited.flops;
  use.planned_flops +=
      run.number("training_flops").value_or(std::numeric_limits<double>::quiet_NaN()) -
      run.inherited.flops;
  if (!run.device_use) return;
  ++use.logged;
  use.attempts += run.device_use->attempts, use.damaged += run.device_use->damaged;
  use.joules += run.device_use->joules.value_or(std::numeric_limits<double>::quiet_NaN());
  use.gpu_hours += run.device_use->gpu_hours, use.core_hours += run.device_use->core_hours;
}

std::vector<Use> uses_of(const Report& report) {
  std::vector<Use> uses;
  for (const Run& run : report.collection.runs) {
    auto use = std::find_if(uses.begin(), uses.end(), [&](const Use& candidate) {
      return candidate.arm == run.arm && candidate.size == run.size &&
             candidate.length == run.length;
    });
    if (use == uses.end()) use = uses.insert(use, Use{run.arm, run.size, run.length});
    add_run(*use, run, report.collection.planned_hours);
  }
  return uses;
}

TableCell hours_cell(const Use& use, double hours) {
  return use.logged == 0 ? missing(not_logged) : rounded(hours, 2);
}

// Hours are of GPUs where any were used, else of cores.
TableCell cost_cell(const Use& use, const DevicePrices& prices) {
  const bool gpus = use.gpu_hours > 0;
  const std::optional<double> price = gpus ? prices.gpu_hour : prices.core_hour;
  if (use.logged == 0 || !price) return missing("-");
  const double cost = *price * (gpus ? use.gpu_hours : use.core_hours);
  return rounded(cost, 2);
}

TableCell planned_hours_cell(double hours) {
  return std::isfinite(hours) ? rounded(hours, 2) : missing("-");
}

}  // namespace

Table device_hours_table(const Report& report) {
  Table table{
      "device_hours",
      "Device-hours of all starts of all runs, lost ones included; hours of the logged steps and "
      "FLOPs done, each beside what was planned; cost at the prices of the sweep's budget",
      {{"arm", "Arm", false},
       {"size", "Size", false},
       {"length", "Length", false},
       {"runs", "Runs"},
       {"logged_runs", "Runs with starts logged"},
       {"attempts", "Starts"},
       {"damaged", "Starts unread"},
       {"gpu_hours", "GPU-hours"},
       {"core_hours", "Core-hours"},
       {"cost", "Cost"},
       {"step_hours", "Hours of steps"},
       {"planned_hours", "Hours planned"},
       {"flops", "FLOPs done"},
       {"planned_flops", "FLOPs planned"},
       {"joules", "Energy, J"},
       {.key = "run_ids", .title = "Runs", .numeric = false, .files_only = true}},
      {}};
  for (const Use& use : uses_of(report))
    table.rows.push_back(
        {{use.arm.empty() ? "-" : use.arm},
         {use.size},
         length_cell(use.length),
         {std::to_string(use.runs.size())},
         {std::to_string(use.logged)},
         {std::to_string(use.attempts)},
         {std::to_string(use.damaged)},
         hours_cell(use, use.gpu_hours),
         hours_cell(use, use.core_hours),
         cost_cell(use, report.collection.prices),
         rounded(use.step_hours, 2),
         planned_hours_cell(use.planned_hours),
         logged_cell(use.flops, scientific),
         logged_cell(use.planned_flops, scientific),
         use.logged == 0 ? missing(not_logged) : logged_cell(use.joules, scientific),
         {run_list(use.runs)}});
  return table;
}

Table totals_table(const Report& report) {
  const Totals totals = totals_of(report);
  return {"totals",
          "What stands at the page's top",
          {{"runs", "Runs"},
           {"runs_done", "Runs done"},
           {"sizes", "Sizes"},
           {"matched_pairs", "Matched pairs"},
           {"refused_pairs", "Refused"},
           {"model_flops", "Model FLOPs"},
           {"hours", "Run time"}},
          {{{std::to_string(totals.runs)},
            {std::to_string(totals.done)},
            {std::to_string(totals.sizes)},
            {std::to_string(totals.pairs)},
            {std::to_string(totals.refused)},
            cell_of(totals.flops, scientific),
            cell_of(totals.hours, duration_text)}}};
}

Table context_exponents_table(const Report& report) {
  Table table{"context_exponents",
              "Exponent of a token's cost in the length of its context, with its 95 % interval; 0 "
              "is linear cost of a text, and memory that does not grow",
              {{"architecture", "Architecture", false},
               {"parameters", "Parameters"},
               {"quantity", "Quantity", false},
               {"exponent", "Exponent"},
               {"low", "Low"},
               {"high", "High"},
               {"points", "Lengths"}},
              {}};
  if (!report.collection.context) return table;
  const auto signed_cell = [](double value) { return cell_of(value, with_sign(value, 3)); };
  for (const ContextModel& model : report.collection.context->models)
    for (const ContextExponent& fit : model.exponents)
      table.rows.push_back(
          {{model.architecture},
           {short_count(double(model.parameters)), std::to_string(model.parameters)},
           {fit.quantity},
           signed_cell(fit.value),
           signed_cell(fit.interval.low),
           signed_cell(fit.interval.high),
           {std::to_string(fit.points)}});
  return table;
}

Table context_costs_table(const Report& report) {
  Table table{"context_costs",
              "Cost of a token against the length of its context: bytes of training are planned "
              "per token, those of generation all that is carried at that position; resident: by "
              "which the process was measured to grow, likewise",
              {{"architecture", "Architecture", false},
               {"phase", "Phase", false},
               {"tokens", "Context, tokens"},
               {"seconds_per_token", "Seconds/token"},
               {"bytes", "Bytes"},
               {"resident_bytes", "Resident bytes"}},
              {}};
  if (!report.collection.context) return table;
  for (const ContextModel& model : report.collection.context->models)
    for (const char* phase : {"training", "generation"})
      for (const ContextPoint& point : model.curve(phase))
        table.rows.push_back({{model.architecture},
                              {phase},
                              {std::to_string(point.tokens)},
                              cell_of(point.seconds, scientific),
                              cell_of(point.bytes, short_count),
                              cell_of(point.resident_bytes, short_count)});
  return table;
}

}  // namespace metascale
