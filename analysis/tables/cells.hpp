// Cells of numbers: rounded for people, in full for CSV.
#pragma once

#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "analysis/support/text.hpp"
#include "analysis/tables.hpp"

namespace metascale {

// words: for people, or what makes them of the value.
inline TableCell cell_of(double value, std::string words) {
  return {std::move(words), exact(value), "", ""};
}
inline TableCell cell_of(double value, std::string (*words)(double)) {
  return cell_of(value, words(value));
}
inline TableCell rounded(double value, int digits) { return cell_of(value, fixed(value, digits)); }

// A number that is not there.
inline TableCell missing(const char* words) { return {words, "nan", "quiet", ""}; }

// How the losses of a row were evaluated, in CSV: tables are read apart from their page.
inline std::vector<TableColumn> evaluated_columns() {
  return {{.key = "split", .title = "Split", .numeric = false, .files_only = true},
          {.key = "protocol", .title = "protocol", .numeric = false, .files_only = true},
          {.key = "tokenizer", .title = "tokenizer", .numeric = false, .files_only = true}};
}
inline std::vector<TableCell> evaluated_cells(const std::vector<const Run*>& runs) {
  std::set<std::string> splits, protocols, tokenizers;
  for (const Run* run : runs) {
    tokenizers.insert(run->tokenizer());
    if (const Evaluation* evaluation = run->final_evaluation())
      splits.insert(evaluation->split), protocols.insert(evaluation->protocol);
  }
  const auto cell = [](const std::set<std::string>& values) {
    return TableCell{joined({values.begin(), values.end()})};
  };
  return {cell(splits), cell(protocols), cell(tokenizers)};
}
// Behind a caption that speaks of losses.
inline std::string scored_clause(const Report& report) {
  return report.scored.empty() ? "" : ". " + report.scored;
}

inline constexpr const char* not_logged = "not logged";

// Of a number that older logs lack: NaN there.
inline TableCell logged_cell(double value, const std::string& words) {
  return std::isfinite(value) ? cell_of(value, words) : missing(not_logged);
}
inline TableCell logged_cell(double value, std::string (*words)(double)) {
  return logged_cell(value, words(value));
}

}  // namespace metascale
