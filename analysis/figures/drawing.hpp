// Words of gnuplot that several figures use.
#pragma once

#include <string>
#include <string_view>

#include "analysis/report.hpp"

namespace metascale {

std::string gnuplot_text(std::string_view text);  // a gnuplot string without escapes
std::string colour_of(const Report& report, const std::string& arm);  // "#rrggbb", quoted
int point_of(const Report& report, const std::string& arm);           // point type
int dash_of(const Report& report, const std::string& size);           // dash type

}  // namespace metascale
