// Parts of the page that are drawn in C++: no script is needed to see them.
#pragma once

#include <string>

#include "analysis/report.hpp"

namespace metascale {

// Paired differences with their intervals, as an SVG that follows the page's colours.
std::string forest_plot(const Report& report);
// Relative difference per domain (columns) and pair (rows); colour says sign and size.
std::string domain_heat_map(const Report& report);

}  // namespace metascale
