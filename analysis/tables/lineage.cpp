// The stages of grown models beside models from scratch: what the lineage's chart shows.
#include "analysis/lineage.hpp"

#include "analysis/support/text.hpp"
#include "analysis/tables/cells.hpp"

namespace metascale {
namespace {

void add_row(Table& table, const Lineage& lineage, const char* role, const LineagePoint& point) {
  table.rows.push_back({{lineage.arm + " " + lineage.size},
                        length_cell(lineage.length),
                        {role},
                        {point.arm},
                        {point.size},
                        cell_of(point.flops, scientific),
                        rounded(point.loss, 4),
                        rounded(point.low, 4),
                        rounded(point.high, 4),
                        {std::to_string(point.runs.size())},
                        {run_list(point.runs)}});
}

}  // namespace

Table lineage_stages_table(const Report& report) {
  Table table{"lineage_stages",
              "Final losses along lineages, means over seeds with the least and the most of them" +
                  scored_clause(report),
              {{"lineage", "Lineage", false},
               {"length", "Length", false},
               {"role", "What", false},
               {"arm", "Arm", false},
               {"size", "Size", false},
               {"flops", "FLOPs of the lineage"},
               {"nats_per_token", "Loss, nats/token"},
               {"least", "Least"},
               {"most", "Most"},
               {"seeds", "Seeds"},
               {.key = "runs", .title = "Runs", .numeric = false, .files_only = true}},
              {}};
  for (const Lineage& lineage : lineages(report)) {
    for (const LineagePoint& stage : lineage.stages) add_row(table, lineage, "stage", stage);
    for (const ScratchPoint& scratch : lineage.scratch)
      add_row(table, lineage, role_of(scratch), scratch.point);
  }
  return table;
}

}  // namespace metascale
