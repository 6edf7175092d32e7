#include "cli/report_summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/terminal.hpp"

namespace metascale {
namespace {

struct Words {
  const char *one, *several;
};
std::string counted(std::int64_t count, Words what, const std::string& first_reason) {
  if (!count) return "";
  return fmt::format("  {} {}{}{}\n", count, count == 1 ? what.one : what.several,
                     first_reason.empty() ? "" : ": ", first_reason);
}

}  // namespace

nlohmann::json report_json(const ReportResult& result) {
  nlohmann::json claims = nlohmann::json::array(), notes = result.notes;
  for (const auto& claim : result.claims)
    claims.push_back({{"letter", claim.letter},
                      {"claim", claim.text},
                      {"verdict", name_of(claim.verdict)},
                      {"evidence", claim.evidence_text()}});
  return {{"page", result.page.string()},
          {"done", result.done},
          {"failed", result.failed},
          {"first_failure", result.first_failure},
          {"unfinished", result.unfinished},
          {"unreadable", result.unreadable},
          {"first_unreadable", result.first_unreadable},
          {"not_comparable", result.not_comparable},
          {"first_difference", result.first_difference},
          {"left_out", result.left_out},
          {"first_left_out", result.first_left_out},
          {"claims", claims},
          {"notes", notes}};
}

std::string report_text(const ReportResult& result) {
  std::string text;
  for (const auto& claim : result.claims)
    text += fmt::format("  ({}) {:<14} {}\n", claim.letter, name_of(claim.verdict), claim.text);
  text += counted(result.failed, {"failed", "failed"}, result.first_failure);
  text += counted(result.unfinished, {"unfinished", "unfinished"}, "");
  text += counted(result.unreadable, {"unreadable", "unreadable"}, result.first_unreadable);
  text += counted(result.not_comparable, {"pair not comparable", "pairs not comparable"},
                  result.first_difference);
  text += counted(result.left_out, {"run compared with none", "runs compared with none"},
                  result.first_left_out);
  return text + fmt::format("report: {}\n", result.page.string());
}

void print_report(const ReportResult& result, bool json) {
  // A reason may hold a path, which need not be UTF-8.
  if (json)
    fmt::print("{}\n",
               report_json(result).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  else
    fmt::print("{}", printable(report_text(result)));
}

void apply_analysis(const AnalysisDefinition& analysis, ReportOptions& options) {
  options.bootstrap_fits = int(analysis.bootstrap);
  options.isoflop = std::find(analysis.fits.begin(), analysis.fits.end(), FitKind::isoflop) !=
                    analysis.fits.end();
}

}  // namespace metascale
