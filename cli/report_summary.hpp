// What a report says in a terminal, and what a sweep file says about a report.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "analysis/report.hpp"
#include "sweeps/definition.hpp"

namespace metascale {

void print_report(const ReportResult& result, bool json);
nlohmann::json report_json(const ReportResult& result);
// Claims, then how many runs failed or cannot be compared, each with the first reason.
std::string report_text(const ReportResult& result);

// `analysis` of a sweep file. (Which laws fit follows from the runs: docs/sweep-file.md.)
void apply_analysis(const AnalysisDefinition& analysis, ReportOptions& options);

}  // namespace metascale
