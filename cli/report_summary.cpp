#include "cli/report_summary.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace metascale {

void print_report(const ReportResult& result, bool json) {
  if (json) {
    nlohmann::json claims = nlohmann::json::array(), notes = result.notes;
    for (const auto& claim : result.claims)
      claims.push_back({{"letter", claim.letter},
                        {"claim", claim.text},
                        {"verdict", name_of(claim.verdict)},
                        {"evidence", claim.evidence_text()}});
    fmt::print("{}\n", nlohmann::json{{"page", result.page.string()},
                                      {"done", result.done},
                                      {"failed", result.failed},
                                      {"unfinished", result.unfinished},
                                      {"unreadable", result.unreadable},
                                      {"not_comparable", result.not_comparable},
                                      {"claims", claims},
                                      {"notes", notes}}
                           .dump(2));
    return;
  }
  for (const auto& claim : result.claims)
    fmt::print("  ({}) {:<14} {}\n", claim.letter, name_of(claim.verdict), claim.text);
  fmt::print("report: {}\n", result.page.string());
}

}  // namespace metascale
