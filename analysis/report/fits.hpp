// The scaling laws of a report: which are fitted to what, and what is held out.
#pragma once

#include "analysis/report.hpp"

namespace metascale {

// Per arm: each length alone on each axis; all lengths together in N and D. The cells must stand.
void add_fits(Report& report, const ReportOptions& options);
// Every arm with the baseline under one law in N and D, where there are two lengths or more.
void add_joint_fits(Report& report, const ReportOptions& options);
// Every arm's isoFLOP profiles, by non-embedding and by all parameters.
void add_isoflops(Report& report, const ReportOptions& options);
// Compute- and parameter-equivalent gains of every cell that is not the baseline's.
void add_gains(Report& report, const ReportOptions& options);

// The arm's draws, apart from those of other arms.
FitOptions options_for(const Report& report, const std::string& arm, const ReportOptions& options);

// The fit in one variable; nullptr: there is none.
const ArmFit* find_fit(const Report& report, const std::string& arm, const std::string& length,
                       FitAxis axis);

}  // namespace metascale
