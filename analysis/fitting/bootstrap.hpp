// Bootstrap replicates of a fit.
#pragma once

#include <span>
#include <vector>

#include "analysis/fit.hpp"
#include "analysis/fitting/minimise.hpp"
#include "analysis/fitting/search.hpp"

namespace metascale {

// Sets fit.replicates and fit.parametric_bootstrap. Each replicate draws the noise of
// every run anew around the mean of its cell and is searched from `optima`, those of the full fit.
void add_replicates(Fit& fit, const LogTable& table, std::span<const std::vector<double>> optima,
                    const FitOptions& options);

}  // namespace metascale
