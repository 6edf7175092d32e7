// The report's tables. The page, report.md, tables/*.csv and the LaTeX table all render these, so
// that a number is the same wherever it stands.
#pragma once

#include <string>
#include <vector>

#include "analysis/report.hpp"

namespace metascale {

struct TableColumn {
  std::string key;    // in CSV
  std::string title;  // for people, with the unit
  bool numeric = true;
  bool wide = false;   // holds sentences
  bool below = false;  // on the page: where there is something, on a line of its own under the row
  bool files_only = false;  // in CSV only; on the page the row says it on request
};

struct TableCell {
  std::string shown;  // rounded
  std::string exact;  // for CSV; empty: as shown
  std::string tone;   // good, bad, warn, quiet or empty
  std::string link;   // on the page: an id that it leads to
};

struct Table {
  std::string key;  // file name without .csv
  std::string caption;
  std::vector<TableColumn> columns;
  std::vector<std::vector<TableCell>> rows;
};

Table comparison_table(const Report& report);  // the paper's Figure 2
Table cells_table(const Report& report);       // every arm, size, length with all its numbers
Table pairs_table(const Report& report);       // paired differences with intervals
Table domains_table(const Report& report);     // per domain and pair
Table claims_table(const Report& report);
Table claim_values_table(const Report& report);  // the numbers of their evidence, in full
Table totals_table(const Report& report);
Table fits_table(const Report& report);       // coefficients and health
Table residuals_table(const Report& report);  // measured and fitted, and held-out sizes
Table influence_table(const Report& report);  // each fit without each of its points
Table joint_fits_table(const Report& report);
Table law_cells_table(
    const Report& report);                  // cells beside the laws in N and D; empty: no such law
Table isoflop_table(const Report& report);  // empty where it was not asked for
Table isoflop_budgets_table(const Report& report);  // the profiles behind it; likewise
Table gains_table(const Report& report);
Table lineage_table(const Report& report);            // of branches and grown runs
Table lineage_stages_table(const Report& report);     // empty where nothing grew
Table speed_table(const Report& report);              // throughput, utilisation, memory, energy
Table device_hours_table(const Report& report);       // used, of all starts, beside the plan
Table context_exponents_table(const Report& report);  // empty without context.json
Table context_costs_table(const Report& report);      // the curves behind them
Table published_table(const Report& report);
Table probes_table(
    const Report& report);  // accuracy by tested length; empty where all ran on texts
Table probe_distances_table(const Report& report);    // by distance to the evidence; likewise
Table probe_depths_table(const Report& report);       // least layers that solve a probe; likewise
Table probe_differences_table(const Report& report);  // of arms, paired by seed; likewise
Table evaluations_table(const Report& report);        // every evaluation of every run, for CSV
Table runs_table(const Report& report);
Table not_comparable_table(const Report& report);
Table environment_table(const Report& report);
Table curves_table(const Report& report);  // thinned training curves, for CSV

std::vector<Table> all_tables(const Report& report);
// Keys of those that not every report has: an earlier report's may still lie in its folder.
const std::vector<std::string>& tables_of_some_reports();

// A run's name that leads to its row of the runs' table.
TableCell run_cell(const std::string& run);
std::string run_anchor(const std::string& run);  // the id of that row

TableCell length_cell(const std::string& label);  // with a space for people, as it is in CSV
TableCell length_cell(const ArmFit& entry);       // and the size, where the fit is of one

std::string to_csv(const Table& table);
std::string to_markdown(const Table& table);
std::string to_latex(const Table& table);
std::string to_html(const Table& table);  // <table> with caption and scopes

}  // namespace metascale
