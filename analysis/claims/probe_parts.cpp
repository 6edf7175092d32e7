#include "analysis/claims/probe_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/claims.hpp"

namespace metascale {
namespace {

constexpr double trained_enough = 0.99;  // of the answers at the trained length, mean over seeds
constexpr double alike_tokens = 1.05;    // whole batches round the tokens of a budget

bool tracks_swaps(const Cell& cell) {
  const Run& run = *cell.runs.front();
  const std::string task = run.fact("probe_task").value_or("");
  return run.architecture == "rwkv7" && (task == "s3" || task == "s5_swaps");
}

// MQAR at 64 tokens with 4 pairs.
bool recalls_four(const Cell& cell) {
  const Run& run = *cell.runs.front();
  const std::string probe = run.fact("probe").value_or("") + " ";
  return run.architecture.starts_with("transformer") && run.fact("probe_task") == "mqar" &&
         trained_length(cell) == 64 && probe.find(" pairs=4 ") != std::string::npos;
}

constexpr ProbeControl controls[] = {{"RWKV-7 on S3 or S5 by swaps", tracks_swaps},
                                     {"a Transformer on MQAR (64, 4)", recalls_four}};

// A control tells whether models of its own size learn with its own training: of layers and width
// as the cell has them, where both logged these, and of no more tokens.
bool is_control_for(const Cell& control, const Cell& cell) {
  const Run &one = *control.runs.front(), &other = *cell.runs.front();
  for (const char* key : {"layers", "width"}) {
    const auto a = one.number(key), b = other.number(key);
    if (a && b && *a != *b) return false;
  }
  return control.tokens <= alike_tokens * cell.tokens;
}

// The best cell of a control, of those for `cell` (nullptr: of all); empty text: it is passed.
std::string unpassed(const Report& report, const ProbeControl& control, const Cell* cell) {
  double best = std::nan(""), elsewhere = std::nan("");
  for (const Cell& candidate : report.probe_cells) {
    if (!control.is_of(candidate) || !report.collection.is_published(candidate.arm)) continue;
    const bool counts = cell == nullptr || is_control_for(candidate, *cell);
    double& kept = counts ? best : elsewhere;
    kept = std::fmax(kept, trained_accuracy(candidate));
  }
  if (best > trained_enough) return "";
  if (!std::isnan(best)) return fmt::format("{} reaches {:.1f} %", control.words, 100 * best);
  return fmt::format("{} has not run{}", control.words,
                     std::isnan(elsewhere)
                         ? ""
                         : fmt::format(" at the size and with the tokens of {}", cell->size));
}

std::string words_of(const Share& share) {
  return fmt::format("{:.1f} %", 100 * share.value) +
         (share.interval.known() ? fmt::format(" [{:.1f}, {:.1f}]", 100 * share.interval.low,
                                               100 * share.interval.high)
                                 : "");
}

void add_values(const ProbeDifference& entry, Claim& claim) {
  const auto add = [&](const char* what, const std::string& arm, const std::string& against,
                       const Share& share) {
    claim.values.push_back({arm, against, entry.size, entry.length,
                            fmt::format("{}_on_{}_at_{}_tokens", what, entry.task, entry.tested),
                            share.value, share.interval, run_list(entry.runs)});
  };
  add("accuracy", entry.subject, "", entry.subject_accuracy);
  add("accuracy", entry.other, "", entry.other_accuracy);
  add("accuracy_gain", entry.subject, entry.other, entry.difference);
}

}  // namespace

std::span<const ProbeControl> tracking_controls() { return controls; }
std::span<const ProbeControl> recall_controls() { return std::span(controls).subspan(1); }

std::string unpassed(const Report& report, std::span<const ProbeControl> wanted, const Cell* cell) {
  std::string missing;
  for (const ProbeControl& control : wanted)
    if (const std::string what = unpassed(report, control, cell); !what.empty())
      missing += (missing.empty() ? "" : "; ") + what;
  return missing;
}

std::string training_until_passed(const std::string& missing) {
  return fmt::format("training until the positive controls pass {:.0f} % (not trained enough: {})",
                     100 * trained_enough, missing);
}

const Cell* cell_of(const Report& report, const ProbeDifference& entry) {
  for (const Cell& cell : report.probe_cells)
    if (cell.arm == entry.subject && cell.size == entry.size && cell.length == entry.length)
      return &cell;
  return nullptr;
}

void add_evidence(const ProbeDifference& entry, const std::string& where, Claim& claim) {
  claim.evidence.push_back(
      {where, fmt::format("{} against {}, {}{}", words_of(entry.subject_accuracy),
                          words_of(entry.other_accuracy), entry.difference.value < 0 ? "" : "+",
                          words_of(entry.difference))});
  add_values(entry, claim);
}

}  // namespace metascale
