// The verdict on a fit: every reason not to trust it, in words.
#pragma once

#include <string>
#include <vector>

#include "analysis/fit.hpp"
#include "analysis/fitting/minimise.hpp"

namespace metascale {

// minima: as the search left them, the best first.
std::vector<std::string> fit_problems(const Fit& fit, const LeastSquares& problem,
                                      const std::vector<Minimum>& minima);

// log10 of largest over smallest value of one variable.
double decades(std::span<const FitPoint> points, std::size_t variable);

}  // namespace metascale
