// Words of gnuplot that several figures use.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "analysis/figure.hpp"

namespace metascale {

std::string gnuplot_text(std::string_view text);  // a gnuplot string without escapes
std::string colour_of(const Report& report, const std::string& arm);  // "#rrggbb", quoted
int point_of(const Report& report, const std::string& arm);           // point type
// The words of a key above the plot, in as many columns as the longest of its titles leaves room
// for, and of the margin that it takes. lines: more of them between the key and the plot.
std::string key_above(const std::vector<std::string>& titles, int lines = 0);
std::string key_of_arms(const Report& report);
// Of an axis with logscale, 'x' or 'y', from low to high: where gnuplot alone would label one power
// of ten or none, also 2 and 5 of each. Empty where there are two or more.
enum class TicWords { counts, powers };  // 200k by the axis' own format, or 2 10^5
std::string log_tics(char axis, double low, double high, TicWords words);
// A caption that speaks of final losses: with their unit, and how they were evaluated.
std::string with_scored(const Report& report, const std::string& words);
std::string dash_of(const Report& report, const std::string& size);  // dash type; eight are unlike
// A curve's style of so many points: a few marks say its length, of the first length none.
std::string curve_style_of(const Report& report, const std::string& length, std::size_t points);

// Per arm the profiles with their parabolas; then the optima of all arms against their budgets.
void add_isoflop_figures(const Report& report, std::vector<Figure>& figures);

// Right answers on probes, one figure per task and axis.
void add_probe_figures(const Report& report, std::vector<Figure>& figures);

// Loss against the FLOPs of lineages, and the models from scratch beside them.
void add_lineage_figure(const Report& report, std::vector<Figure>& figures);

// What generation holds against the position: measured, and the state as computed.
void add_generation_memory_figure(const Report& report, std::vector<Figure>& figures);

}  // namespace metascale
