#include <algorithm>
#include <cmath>

#include "analysis/support/text.hpp"
#include "analysis/tables/cells.hpp"
#include "core/domain_means.hpp"

namespace metascale {
namespace {

// From which runs' final evaluations a row comes.
const TableColumn runs_column{
    .key = "runs", .title = "From the final evaluations of", .numeric = false, .files_only = true};

const PairReport* pair_of(const Report& report, const std::string& first, const std::string& second,
                          const std::string& size, const std::string& length) {
  for (const PairReport& pair : report.pairs)
    if (pair.problem.empty() && pair.pair->first_arm == first && pair.pair->second_arm == second &&
        pair.pair->size == size && pair.pair->length == length)
      return &pair;
  return nullptr;
}

// Good where the interval with seeds lies below 0, that is, where the second arm is better.
std::string tone_of(const PairedResult& result) {
  if (result.with_seeds.high < 0) return "good";
  if (result.with_seeds.low > 0) return "bad";
  return "";
}

TableCell difference_cell(const PairReport* pair) {
  if (pair == nullptr) return {"not comparable", "", "quiet"};
  const PairedResult& result = pair->result;
  const Interval relative{result.with_seeds.low / result.first_loss,
                          result.with_seeds.high / result.first_loss};
  return {percent(result.relative) + " " + interval_text(relative, 2, 100), exact(result.relative),
          tone_of(result)};
}

TableCell loss_cell(const Cell* cell) {
  if (cell == nullptr) return {"-", "", "quiet"};
  std::string shown = fixed(cell->loss, 4);
  if (std::isfinite(cell->loss_deviation)) shown += " \xC2\xB1 " + fixed(cell->loss_deviation, 4);
  if (std::any_of(cell->runs.begin(), cell->runs.end(),
                  [](const Run* run) { return has_own_tokens(*run); }))
    shown += ", " + short_count(cell->tokens) + " tokens";
  return cell_of(cell->loss, shown);
}

std::vector<TableCell> pair_row(const PairReport& pair, const std::string& domain,
                                const PairedResult& result) {
  std::vector<TableCell> row{{pair.pair->second_arm},
                             {pair.pair->first_arm},
                             {pair.pair->size},
                             length_cell(pair.pair->length)};
  if (domain.empty())
    row.push_back(logged_cell(pair.pair->residual, percent(pair.pair->residual, 3)));
  else
    row.push_back({domain});
  row.push_back(rounded(result.first_loss, 4));
  row.push_back(rounded(result.second_loss, 4));
  row.push_back({with_sign(result.difference, 4), exact(result.difference), tone_of(result)});
  row.push_back(cell_of(result.relative, percent(result.relative)));
  row.push_back(cell_of(result.bits_per_byte, with_sign(result.bits_per_byte, 4)));
  for (const Interval& interval : {result.percentile, result.bca, result.with_seeds})
    row.push_back(
        {interval_text(interval, 4), exact(interval.low) + " " + exact(interval.high), ""});
  row.push_back({std::to_string(result.per_seed.size()) +
                     (result.assumed_seed_noise ? " (noise assumed)" : ""),
                 std::to_string(result.per_seed.size()), ""});
  row.push_back({short_count(double(result.documents)), std::to_string(result.documents), ""});
  row.push_back({run_list(pair.pair->first) + " " + run_list(pair.pair->second)});
  for (TableCell& cell : evaluated_cells(pair.pair->first)) row.push_back(std::move(cell));
  return row;
}

std::vector<TableColumn> pair_columns(bool with_domain) {
  std::vector<TableColumn> columns{{"arm", "Arm", false},
                                   {"against", "Against", false},
                                   {"size", "Size", false},
                                   {"length", "Length", false}};
  columns.push_back(with_domain ? TableColumn{"domain", "Domain", false}
                                : TableColumn{"residual_mismatch", "Residual mismatch"});
  const std::vector<TableColumn> rest{{"against_nats_per_token", "Its loss, nats/token"},
                                      {"arm_nats_per_token", "Loss, nats/token"},
                                      {"difference_nats_per_token", "Difference, nats/token"},
                                      {"relative_difference", "Relative"},
                                      {"difference_bits_per_byte", "Bits/byte"},
                                      {"percentile_interval", "Percentile interval"},
                                      {"bca_interval", "BCa interval"},
                                      {"interval_with_seeds", "Interval with seeds"},
                                      {"seeds", "Seeds"},
                                      {"documents", "Documents"}};
  columns.insert(columns.end(), rest.begin(), rest.end());
  columns.push_back(runs_column);
  for (TableColumn& column : evaluated_columns()) columns.push_back(std::move(column));
  return columns;
}

}  // namespace

Table comparison_table(const Report& report) {
  Table table{"comparison",
              "Final loss (mean and standard deviation over seeds), and the paired "
              "difference to " +
                  report.collection.baseline() + " with its 95 % interval" + scored_clause(report),
              {{"size", "Size", false}, {"length", "Length", false}},
              {}};
  const auto& arms = report.collection.arms;
  for (const std::string& arm : arms) table.columns.push_back({"loss_" + slug(arm), arm});
  for (std::size_t i = 1; i < arms.size(); ++i)
    table.columns.push_back({"relative_" + slug(arms[i]), arms[i] + " vs " + arms[0]});
  table.columns.push_back(runs_column);
  for (const std::string& length : report.lengths())
    for (const std::string& size : report.sizes()) {
      std::vector<TableCell> row{{size}, length_cell(length)};
      bool any = false;
      std::string runs;
      for (const std::string& arm : arms) {
        const Cell* cell = report.cell(arm, size, length);
        any = any || cell != nullptr;
        row.push_back(loss_cell(cell));
        if (cell != nullptr) runs += (runs.empty() ? "" : " ") + run_list(cell->runs);
      }
      for (std::size_t i = 1; i < arms.size(); ++i)
        row.push_back(difference_cell(pair_of(report, arms[0], arms[i], size, length)));
      row.push_back({runs});
      if (any) table.rows.push_back(std::move(row));
    }
  return table;
}

namespace {

// Mean over seeds; NaN where one has none.
template <typename ValueOf>
double mean_of_evaluations(const Cell& cell, const ValueOf& value_of) {
  double sum = 0;
  for (const Run* run : cell.runs) sum += value_of(*run->final_evaluation());
  return sum / double(cell.runs.size());
}

// Every domain counts alike, whatever its tokens.
double nats_mean_of_domains(const Evaluation& evaluation) {
  double sum = 0, domains = 0;
  for (const DomainRow& row : evaluation.domains)
    if (row.tokens > 0) sum += row.nats / double(row.tokens), ++domains;
  return sum / domains;
}

double bits_mean_of_domains(const Evaluation& evaluation) {
  return domain_means(evaluation).plain.value_or(std::nan(""));
}

double bits_weighted_as_pile(const Evaluation& evaluation) {
  return domain_means(evaluation).pile.value_or(std::nan(""));
}

std::vector<TableCell> cell_row(const Cell& cell) {
  std::vector<TableCell> row{
      {cell.arm},
      {cell.size},
      length_cell(cell.length),
      {std::to_string(cell.runs.size()), "", "", run_anchor(cell.runs.front()->id)},
      cell_of(cell.parameters, short_count),
      cell_of(cell.non_embedding_parameters, short_count),
      cell_of(cell.flops_per_token, scientific),
      cell_of(cell.tokens, short_count),
      cell_of(cell.training_flops, scientific),
      rounded(cell.loss, 4),
      rounded(cell.loss_deviation, 4),
      rounded(cell.bits_per_byte, 4),
      rounded(mean_of_evaluations(cell, nats_mean_of_domains), 4),
      rounded(mean_of_evaluations(cell, bits_mean_of_domains), 4),
      rounded(mean_of_evaluations(cell, bits_weighted_as_pile), 4),
      cell_of(cell.tokens_per_second, short_count),
      cell_of(cell.hours, duration_text)};
  row.push_back({run_list(cell.runs)});
  for (TableCell& more : evaluated_cells(cell.runs)) row.push_back(std::move(more));
  return row;
}

}  // namespace

Table cells_table(const Report& report) {
  Table table{
      "cells",
      "Every arm, size and length that is done; tokens and FLOPs as achieved; model FLOPs by "
      "one rule for all architectures. Loss and bits weigh domains by their share of the "
      "evaluation set; in the means of domains each counts alike, or by The Pile's weights of "
      "bytes" +
          scored_clause(report),
      {{"arm", "Arm", false},
       {"size", "Size", false},
       {"length", "Length", false},
       {"seeds", "Seeds"},
       {"parameters", "Parameters"},
       {"non_embedding_parameters", "Non-embedding"},
       {"flops_per_token", "FLOPs/token"},
       {"tokens", "Tokens"},
       {"training_flops", "Training FLOPs"},
       {"nats_per_token", "Loss, nats/token"},
       {"deviation_over_seeds", "SD over seeds"},
       {"bits_per_byte", "Bits/byte"},
       {"domain_mean_nats_per_token", "Mean of domains, nats/token"},
       {"domain_mean_bits_per_byte", "Mean of domains, bits/byte"},
       {"pile_weighted_bits_per_byte", "Weighted as The Pile, bits/byte"},
       {"tokens_per_second", "Tokens/s"},
       {"hours", "Wall time"}},
      {}};
  table.columns.push_back(runs_column);
  for (TableColumn& column : evaluated_columns()) table.columns.push_back(std::move(column));
  for (const Cell& cell : report.cells) table.rows.push_back(cell_row(cell));
  return table;
}

Table pairs_table(const Report& report) {
  Table table{"pairs",
              "Paired differences, second arm minus first: negative where the arm is better. "
              "Intervals at 95 %: over documents alone (percentile, BCa), and over documents and "
              "seeds, which decides. Residual mismatch: of the matched quantity, as a share of its "
              "target" +
                  scored_clause(report),
              pair_columns(false),
              {}};
  for (const PairReport& pair : report.pairs)
    if (pair.problem.empty()) table.rows.push_back(pair_row(pair, "", pair.result));
  return table;
}

Table domains_table(const Report& report) {
  Table table{"domains",
              "Paired differences per domain, as above" + scored_clause(report),
              pair_columns(true),
              {}};
  for (const PairReport& pair : report.pairs)
    for (const DomainDifference& entry : pair.domains)
      table.rows.push_back(pair_row(pair, entry.domain, entry.result));
  return table;
}

Table claims_table(const Report& report) {
  Table table{"claims",
              "The paper's claims and what these runs say about them",
              {{"letter", "", false},
               {"claim", "Claim", false},
               {"verdict", "Verdict", false},
               {"evidence", "Measured", false},
               {"would_decide", "What would decide it", false}},
              {}};
  for (const Claim& claim : report.claims) {
    const std::string tone = claim.verdict == Verdict::holds           ? "good"
                             : claim.verdict == Verdict::does_not_hold ? "bad"
                             : claim.verdict == Verdict::not_decided   ? "warn"
                                                                       : "quiet";
    table.rows.push_back({{claim.letter},
                          {claim.text},
                          {words_of(claim.verdict), "", tone},
                          {claim.evidence.empty() ? "-" : claim.evidence_text()},
                          {claim.would_decide.empty() ? "-" : claim.would_decide}});
  }
  return table;
}

Table claim_values_table(const Report& report) {
  Table table{"claim_values",
              "The numbers of the claims' evidence in full: gains are shares of the loss of what "
              "the arm is compared with, not per cent",
              {{"letter", "", false},
               {"arm", "Arm", false},
               {"against", "Against", false},
               {"size", "Size", false},
               {"length", "Length", false},
               {"measure", "Measure", false},
               {"value", "Value"},
               {"low", "Low"},
               {"high", "High"},
               {"runs", "Runs", false}},
              {}};
  for (const Claim& claim : report.claims)
    for (const ClaimValue& each : claim.values)
      table.rows.push_back({{claim.letter},
                            {each.arm},
                            {each.against},
                            {each.size},
                            length_cell(each.length),
                            {each.measure},
                            {exact(each.value)},
                            {exact(each.interval.low)},
                            {exact(each.interval.high)},
                            {each.runs}});
  return table;
}

}  // namespace metascale
