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
// for, and of the margin that it takes; to stand behind a ylabel, which may have to be smaller
// then. lines: more of them between the key and the plot.
std::string key_above(const std::vector<std::string>& titles, int lines = 0);
std::string key_of_arms(const Report& report);

struct KeyEntry {
  std::string style, title;  // style: what stands behind `with`
};
KeyEntry entry_of_size(const Report& report, const std::string& size);  // a dash
// A key above the plot of entries that no plot has of itself; returns its settings.
std::string add_key(const std::vector<KeyEntry>& entries, Figure& figure);

// A logarithmic axis, 'x' or 'y', from low to high, with three labels or more: at powers of ten, or
// at as many of their multiples as that takes. Empty where no axis can be.
enum class TicWords { counts, powers };  // 200k or 2 10^5
std::string log_axis(char axis, double low, double high, TicWords words);
std::string count_words(double value);  // 200k, 1B
std::string title_of(FitAxis axis);     // of an axis, a gnuplot string: 'Training compute (FLOPs)'
// A logarithmic 'y' axis of losses, with round numbers: of powers of ten there are none.
std::string loss_axis(double low, double high);
// A caption that speaks of final losses: with their unit, and how they were evaluated.
std::string with_scored(const Report& report, const std::string& words);
std::string dash_of(const Report& report, const std::string& size);  // dash type; eight are unlike
// A curve's style of so many points: a few marks say its length, of the first length none.
std::string curve_style_of(const Report& report, const std::string& length, std::size_t points);

// Training loss against tokens, and against FLOPs.
void add_curve_figures(const Report& report, std::vector<Figure>& figures);

// Per arm the profiles with their parabolas; then the optima of all arms against their budgets.
void add_isoflop_figures(const Report& report, std::vector<Figure>& figures);

// Loss against tokens under a law in N and D: one figure per law, one curve per arm and size.
void add_law_figures(const Report& report, std::vector<Figure>& figures);

// Right answers on probes, one figure per task and axis.
void add_probe_figures(const Report& report, std::vector<Figure>& figures);

// Loss against the FLOPs of lineages, and the models from scratch beside them.
void add_lineage_figure(const Report& report, std::vector<Figure>& figures);

// What generation holds against the position: measured, and the state as computed.
void add_generation_memory_figure(const Report& report, std::vector<Figure>& figures);

}  // namespace metascale
