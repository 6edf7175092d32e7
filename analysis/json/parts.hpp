// What fits.json and the page's data have in common.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "analysis/report.hpp"

namespace metascale {

using Json = nlohmann::ordered_json;

Json number(double value);  // null for NaN and infinity, which have no JSON
Json numbers(const std::vector<double>& values);
Json interval(const Interval& value);  // [low, high]
// [low, high]: whether that end is infinite, for which there is no JSON number. Of a positive
// quantity 0 is no bound either.
Json unbounded(const Interval& value);
Json cells_json(const Report& report);
Json probe_curves_json(const Report& report);
Json probe_depths_json(const Report& report);
Json depth_curves_json(const Report& report);
Json lineages_json(const Report& report);
Json law_curves_json(const Report& report);

}  // namespace metascale
