// Every number of a report as JSON: fits.json, and the data behind the page's charts.
#pragma once

#include <string>

#include "analysis/fit_table.hpp"
#include "analysis/report.hpp"

namespace metascale {

std::string render_json(const Report& report);  // fits.json: fits, gains, pairs, claims, cells
// The page's charts; safe inside a <script> element: no '<' stands in it.
std::string render_page_data(const Report& report);

std::string render_fit_json(const FitTableResult& result);  // what `metascale fit --json` prints

// x of a drawn line: log-spaced from low to high and a little beyond.
std::vector<double> log_spaced(double low, double high, int points = 60);
std::vector<double> line_of(const Fit& fit);  // over the fit's points

}  // namespace metascale
