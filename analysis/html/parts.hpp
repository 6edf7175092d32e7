// Parts of the page that are drawn in C++: no script is needed to see them.
#pragma once

#include <span>
#include <string>

#include "analysis/report.hpp"

namespace metascale {

struct Section {
  const char* id;
  const char* label;  // in the navigation
  const char* title;
  std::string (*body)(const Report& report);
};
std::span<const Section> page_sections();

// Chart and tables of probes; empty where all ran on texts.
std::string probes_of(const Report& report);

// Chart and table of the laws in N and D; empty where there is none.
std::string laws_of(const Report& report);

// Paired differences with their intervals, as an SVG that follows the page's colours.
std::string forest_plot(const Report& report);
// Relative difference per domain (columns) and pair (rows); colour says sign and size.
std::string domain_heat_map(const Report& report);

}  // namespace metascale
