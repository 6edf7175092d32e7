// Measured cells beside the laws in N and D: what their chart shows.
#include "analysis/law_curves.hpp"
#include "analysis/support/text.hpp"
#include "analysis/tables/cells.hpp"

namespace metascale {
namespace {

std::vector<TableCell> row_of(const LawCurves& law, const LawCurve& curve, const LawPoint& point) {
  const double residual = point.fitted / point.loss - 1;
  std::vector<TableCell> row{{law.key},
                             {curve.arm},
                             {curve.size},
                             length_cell(point.length),
                             cell_of(curve.parameters, short_count),
                             cell_of(point.tokens, short_count),
                             rounded(point.loss, 4),
                             rounded(point.deviation, 4),
                             rounded(point.fitted, 4),
                             cell_of(residual, percent(residual)),
                             {run_list(point.runs)}};
  for (TableCell& cell : evaluated_cells(point.runs)) row.push_back(std::move(cell));
  return row;
}

}  // namespace

Table law_cells_table(const Report& report) {
  Table table{"law_cells",
              "Measured cells, means over seeds, beside the laws in N (non-embedding) and D, of "
              "each arm alone and of two arms jointly" +
                  scored_clause(report),
              {{"law", "Law", false},
               {"arm", "Arm", false},
               {"size", "Size", false},
               {"length", "Length", false},
               {"non_embedding_parameters", "N"},
               {"tokens", "D, tokens"},
               {"measured", "Measured, nats/token"},
               {"deviation_over_seeds", "SD over seeds"},
               {"fitted", "Fitted, nats/token"},
               {"residual", "Residual"},
               {.key = "runs", .title = "Runs", .numeric = false, .files_only = true}},
              {}};
  for (TableColumn& column : evaluated_columns()) table.columns.push_back(std::move(column));
  for (const LawCurves& law : law_curves(report))
    for (const LawCurve& curve : law.curves)
      for (const LawPoint& point : curve.points) table.rows.push_back(row_of(law, curve, point));
  return table;
}

}  // namespace metascale
