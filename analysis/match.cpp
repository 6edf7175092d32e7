#include "analysis/match.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "analysis/support/text.hpp"
#include "core/error.hpp"
#include "core/match_key.hpp"

namespace metascale {
namespace {

void compare_evaluations(const Run& first, const Run& second, std::vector<std::string>& reasons) {
  const Evaluation* one = first.final_evaluation();
  const Evaluation* other = second.final_evaluation();
  if (one == nullptr || other == nullptr) {
    reasons.push_back(concat((one == nullptr ? first : second).id, " has no final evaluation"));
    return;
  }
  if (one->split != other->split)
    reasons.push_back(concat("evaluated on ", one->split, " and on ", other->split));
  if (one->protocol != other->protocol)
    reasons.push_back(concat("evaluated by ", one->protocol, " and by ", other->protocol));
  if (one->digest != other->digest || one->tokens != other->tokens)
    reasons.push_back(concat("evaluated on different windows: ", one->coverage, " (", one->tokens,
                             " tokens) and ", other->coverage, " (", other->tokens, " tokens)"));
}

// What grown runs and those from scratch need not agree on, by its name in match.identical.
constexpr std::array<std::string_view, 3> differs_by_growth = {"tokens", "optimizer_steps",
                                                               "schedule"};

bool is_partner(const Run& scratch, const Run& grown) {
  return is_grown(grown) && scratch.fact("scratch_partner_of") == grown.id;
}

// FLOPs of the lineage, or those since its last growth; NaN where the log lacks what the lineage
// had cost before.
double compute_of(const Run& run, ScratchCompute compute) {
  if (compute == ScratchCompute::total || !is_grown(run)) return run.flops;
  return run.flops - run.number("lineage_flops").value_or(std::nan(""));
}

MatchKey growth_key(const Run& run, ScratchCompute compute, std::string_view tolerance) {
  MatchKey key = match_key_of(run.log.facts);
  std::string identical;
  for (const MatchKeyEntry& entry : match_key_entries)
    if (std::ranges::find(differs_by_growth, entry.identical) == differs_by_growth.end() &&
        must_agree(key, key, entry.identical))
      identical += concat(entry.identical, " ");
  key[std::string(match_identical_fact)] = identical;
  key["match_on"] = compute == ScratchCompute::total ? "training FLOPs of the lineage"
                                                     : "training FLOPs since the growth";
  key[std::string(match_value_fact)] = exact(compute_of(run, compute));
  if (!tolerance.empty()) key[std::string(match_tolerance_fact)] = tolerance;
  return key;
}

// At the last step after which both had trained on equally many tokens.
void compare_data(const Run& first, const Run& second, std::vector<std::string>& reasons) {
  for (auto one = first.marks.rbegin(); one != first.marks.rend(); ++one)
    for (auto other = second.marks.rbegin(); other != second.marks.rend(); ++other) {
      if (one->tokens != other->tokens) continue;
      if (one->digest != other->digest)
        reasons.push_back(
            "trained on different tokens, or on the same in another order: the running digests of "
            "the token ids differ");
      return;
    }
  reasons.push_back(
      "no logged step after which both had trained on equally many tokens: whether they were the "
      "same is unknown");
}

using Seeds = std::map<std::int64_t, const Run*>;
struct Cell {
  std::string size, length;
  std::map<std::string, Seeds> arms;
};

std::vector<Cell> cells_of(const Collection& collection) {
  std::vector<Cell> cells;
  for (const Run& run : collection.runs) {
    if (run.state == RunState::unreadable || !run.is_compared() || run.is_probe()) continue;
    auto cell = std::find_if(cells.begin(), cells.end(), [&](const Cell& candidate) {
      return candidate.size == run.size && candidate.length == run.length;
    });
    if (cell == cells.end()) cell = cells.insert(cell, Cell{run.size, run.length, {}});
    const Run*& place = cell->arms[run.arm][run.seed];
    if (place == nullptr || place->state != RunState::done) place = &run;
  }
  return cells;
}

void match_cell(const Cell& cell, const std::string& first_arm, const std::string& second_arm,
                Matching& matching) {
  const auto first = cell.arms.find(first_arm), second = cell.arms.find(second_arm);
  if (first == cell.arms.end() || second == cell.arms.end()) return;  // not part of this cell
  MatchedPair pair{first_arm, second_arm, cell.size, cell.length};
  for (const auto& [seed, one] : first->second) {
    const auto partner = second->second.find(seed);
    if (partner == second->second.end()) {
      matching.refused.push_back({one->id,
                                  second_arm,
                                  cell.size,
                                  cell.length,
                                  {concat("no run of ", second_arm, " with seed ", seed)}});
      continue;
    }
    std::vector<std::string> reasons;
    for (const Run* run : {one, partner->second})
      if (run->state != RunState::done)
        reasons.push_back(concat(run->id, " is ", name_of(run->state)));
    if (reasons.empty()) reasons = mismatches(*one, *partner->second);
    if (reasons.empty()) {
      pair.first.push_back(one), pair.second.push_back(partner->second);
      const double residual = residual_mismatch(*one, *partner->second);
      if (std::isnan(pair.residual) || std::abs(residual) > std::abs(pair.residual))
        pair.residual = residual;
    } else {
      matching.refused.push_back({one->id, partner->second->id, cell.size, cell.length, reasons});
    }
  }
  for (const auto& [seed, other] : second->second)
    if (!first->second.contains(seed))
      matching.refused.push_back({first_arm,
                                  other->id,
                                  cell.size,
                                  cell.length,
                                  {concat("no run of ", first_arm, " with seed ", seed)}});
  if (!pair.first.empty()) matching.pairs.push_back(std::move(pair));
}

}  // namespace

bool is_grown(const Run& run) { return run.fact("lineage").has_value(); }

bool has_own_tokens(const Run& run) {
  return is_grown(run) || run.fact("scratch_partner_of").has_value();
}

ScratchCompute scratch_compute_of(const Run& scratch) {
  return scratch.fact("scratch_compute") == "added" ? ScratchCompute::added : ScratchCompute::total;
}

std::vector<std::string> growth_mismatches(const Run& scratch, const Run& grown,
                                           ScratchCompute compute, std::string_view tolerance) {
  std::vector<std::string> reasons =
      differences(growth_key(scratch, compute, tolerance), growth_key(grown, compute, tolerance));
  compare_evaluations(scratch, grown, reasons);
  return reasons;
}

std::vector<std::string> mismatches(const Run& first, const Run& second) {
  if (is_partner(first, second)) return growth_mismatches(first, second, scratch_compute_of(first));
  if (is_partner(second, first))
    return growth_mismatches(second, first, scratch_compute_of(second));
  const MatchKey one = match_key_of(first.log.facts), other = match_key_of(second.log.facts);
  std::vector<std::string> reasons = differences(one, other);
  compare_evaluations(first, second, reasons);
  if (first.tokens != second.tokens && must_agree(one, other, "tokens"))
    reasons.push_back(concat("trained on ", first.tokens, " and ", second.tokens, " tokens"));
  else if (must_agree(one, other, "data_order") && is_grown(first) == is_grown(second))
    compare_data(first, second, reasons);
  return reasons;
}

double residual_mismatch(const Run& first, const Run& second) {
  const auto number = [](const Run& run, std::string_view fact) {
    return run.number(std::string(fact)).value_or(std::nan(""));
  };
  if (is_partner(first, second) || is_partner(second, first)) {  // a grown run has no target
    const ScratchCompute compute = scratch_compute_of(is_grown(second) ? first : second);
    return compute_of(second, compute) / compute_of(first, compute) - 1;
  }
  return (number(second, match_value_fact) - number(first, match_value_fact)) /
         number(first, match_target_fact);
}

Matching match(const Collection& collection) {
  Matching matching;
  for (const Run& run : collection.runs)
    if (run.role == "run" && !run.left_out.empty())
      matching.refused.push_back({run.id, "", run.size, run.length, {run.left_out}});
  const std::vector<Cell> cells = cells_of(collection);
  for (std::size_t first = 0; first < collection.arms.size(); ++first)
    for (std::size_t second = first + 1; second < collection.arms.size(); ++second)
      for (const Cell& cell : cells)
        match_cell(cell, collection.arms[first], collection.arms[second], matching);
  return matching;
}

}  // namespace metascale
