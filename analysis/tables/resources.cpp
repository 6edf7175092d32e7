// What runs cost and where they come from: lineage, speed, memory, energy; every evaluation.
#include <cmath>
#include <limits>

#include "analysis/published.hpp"
#include "analysis/support/text.hpp"
#include "analysis/tables/cells.hpp"

namespace metascale {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

// Mean of a fact over the cell's runs; NaN if one of them did not log it.
double mean_fact(const Cell& cell, const char* key) {
  double sum = 0;
  for (const Run* run : cell.runs) sum += run->number(key).value_or(none);
  return sum / double(cell.runs.size());
}

// The largest memory that a run planned or measured, in bytes.
double memory_of(const Cell& cell) {
  const double measured = mean_fact(cell, "peak_memory_bytes");
  return std::isfinite(measured) ? measured : mean_fact(cell, "activation_bytes");
}

}  // namespace

Table speed_table(const Report& report) {
  Table table{"speed",
              "Speed, memory and energy per arm, size and length: tokens/s is the median over "
              "steps, MFU the model FLOPs over the peak that the run's device was logged with, "
              "executed FLOPs those of the operators that a training step ran, "
              "memory that of activations and gradients unless a peak was measured",
              {{"arm", "Arm", false},
               {"size", "Size", false},
               {"length", "Length", false},
               {"device", "Device", false},
               {"threads", "Threads"},
               {"tokens_per_second", "Tokens/s"},
               {"flops_per_token", "Model FLOPs/token"},
               {"executed_flops_per_token", "Executed FLOPs/token"},
               {"flops_per_second", "FLOP/s"},
               {"mfu", "MFU"},
               {"memory_bytes", "Memory, bytes"},
               {"hours", "Wall time"},
               {"joules_per_token", "Energy, J/token"},
               {.key = "runs", .title = "Runs", .numeric = false, .files_only = true}},
              {}};
  for (const std::vector<Cell>* cells : {&report.cells, &report.probe_cells})
    for (const Cell& cell : *cells) {
      const Run& one = *cell.runs.front();
      const double speed = cell.tokens_per_second * cell.flops_per_token;
      const double mfu = speed / mean_fact(cell, "peak_flops_per_second");
      const double energy = mean_fact(cell, "energy_joules") / cell.tokens;
      table.rows.push_back({{cell.arm},
                            {cell.size},
                            length_cell(cell.length),
                            {one.fact("device").value_or(not_logged)},
                            {one.fact("threads").value_or("-")},
                            logged_cell(cell.tokens_per_second, short_count),
                            logged_cell(cell.flops_per_token, scientific),
                            logged_cell(cell.executed_flops_per_token, scientific),
                            cell_of(speed, scientific),
                            logged_cell(mfu, fixed(100 * mfu, 1) + " %"),
                            logged_cell(memory_of(cell), short_count),
                            cell_of(cell.hours, duration_text),
                            logged_cell(energy, short_count),
                            {run_list(cell.runs)}});
    }
  return table;
}

Table lineage_table(const Report& report) {
  Table table{
      "lineage",
      "Branches and grown runs: what they took over and what they added. Tokens, FLOPs "
      "and hours elsewhere on the page are those of the whole lineage",
      {{"run", "Run", false},
       {"parent", "Left", false},
       {"step", "At step"},
       {"inherited_tokens", "Tokens before"},
       {"inherited_flops", "FLOPs before"},
       {"own_flops", "FLOPs added"},
       {"hours", "Wall time of all"},
       {"nats_per_token", "Loss, nats/token"},
       {.key = "lineage", .title = "Lineage", .numeric = false, .wide = true, .below = true}},
      {}};
  for (const Run& run : report.collection.runs) {
    if (run.inherited.step == 0) continue;
    const double own = run.flops - run.inherited.flops;
    table.rows.push_back(
        {run_cell(run.id),
         run_cell(run.parent),
         {std::to_string(run.inherited.step)},
         {short_count(double(run.inherited.tokens)), std::to_string(run.inherited.tokens), "", ""},
         cell_of(run.inherited.flops, scientific),
         cell_of(own, scientific),
         cell_of(run.hours, duration_text),
         rounded(run.final_loss(), 4),
         {run.fact("lineage").value_or("")}});
  }
  return table;
}

Table published_table(const Report& report) {
  Table table{"published",
              "Published losses with the tokenizer, data and split of these runs, and no other "
              "protocol that is known",
              {{"model", "Model", false},
               {"parameters", "Parameters"},
               {"nats_per_token", "Loss, nats/token"},
               {"protocol", "Protocol", false},
               {"source", "Source", false, true}},
              {}};
  for (const PublishedResult& entry : comparable_results(report))
    table.rows.push_back({{entry.model},
                          cell_of(entry.parameters, short_count),
                          rounded(entry.loss, 4),
                          {entry.protocol},
                          {entry.source}});
  return table;
}

Table evaluations_table(const Report& report) {
  Table table{"evaluations",
              "Every evaluation: row is its place in /evaluations of the run's run.h5, from 0",
              {{"run", "Run", false},
               {"row", "Row"},
               {"step", "Step"},
               {"split", "Split", false},
               {"protocol", "Protocol", false},
               {"coverage", "Coverage", false},
               {"final", "Final"},
               {"tokens", "Tokens"},
               {"bytes", "Bytes"},
               {"nats", "Nats"},
               {"nats_per_token", "Loss, nats/token"},
               {"bits_per_byte", "Bits/byte"}},
              {}};
  for (const Run& run : report.collection.runs)
    for (std::size_t i = 0; i < run.log.evaluations.size(); ++i) {
      const Evaluation& one = run.log.evaluations[i];
      table.rows.push_back({{run.id},
                            {std::to_string(i)},
                            {std::to_string(one.step)},
                            {one.split},
                            {one.protocol},
                            {one.coverage},
                            {one.is_final ? "1" : "0"},
                            {std::to_string(one.tokens)},
                            {std::to_string(one.bytes)},
                            {exact(one.nats)},
                            {exact(one.tokens > 0 ? one.loss() : none)},
                            {exact(one.bytes > 0 ? one.bits_per_byte() : none)}});
    }
  return table;
}

}  // namespace metascale
