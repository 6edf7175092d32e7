#include "analysis/figures/drawing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "analysis/palette.hpp"

namespace metascale {
namespace {

std::size_t place(const std::vector<std::string>& names, const std::string& name) {
  return std::size_t(std::find(names.begin(), names.end(), name) - names.begin());
}

}  // namespace

std::string gnuplot_text(std::string_view text) {
  std::string result = "'";
  for (const char letter : text) {
    if (letter == '\'')
      result += "''";
    else
      result += letter == '\n' || letter == '\r' ? ' ' : letter;
  }
  return result + "'";
}

std::string colour_of(const Report& report, const std::string& arm) {
  return gnuplot_text(arm_colour(place(report.collection.arms, arm)).light);
}

int point_of(const Report& report, const std::string& arm) {
  static constexpr std::array<int, 7> types{7, 5, 9, 13, 11, 15, 3};  // filled, then open shapes
  return types[place(report.collection.arms, arm) % types.size()];
}

std::string key_above(const std::vector<std::string>& titles, int lines) {
  // gnuplot takes an outside key for narrower than it is, and cuts it off. Of the key's font the
  // plot of a figure one column wide holds some 54 letters; beside each title stands its sample.
  constexpr std::size_t letters = 54, sample = 7;
  std::size_t longest = 1;
  for (const std::string& title : titles) longest = std::max(longest, title.size());
  const std::size_t columns = std::clamp<std::size_t>(letters / (longest + sample), 1,
                                                      std::max<std::size_t>(1, titles.size()));
  const std::size_t rows = (titles.size() + columns - 1) / columns;
  return fmt::format(
      "set key at screen 0.5, screen 0.985 center top horizontal maxcols {} font ',6'\n"
      "set tmargin line*{:.1f}\n",
      columns, 1.15 * double(rows) + 0.9 + 1.3 * double(lines));
}

std::string key_of_arms(const Report& report) { return key_above(report.collection.arms); }

std::string with_scored(const Report& report, const std::string& words) {
  return words + (report.scored.empty() ? "" : ". " + report.scored);
}

std::string log_tics(char axis, double low, double high, TicWords words) {
  if (!(low > 0) || !(high > low) || !std::isfinite(high)) return "";
  const double first = std::floor(std::log10(low)), last = std::floor(std::log10(high));
  std::string tics;
  int powers = 0;
  for (double power = first; power <= last; ++power)
    for (const int digit : {1, 2, 5}) {
      const double tic = digit * std::pow(10.0, power);
      if (tic < low || tic > high) continue;
      powers += digit == 1;
      tics += tics.empty() ? "" : ", ";
      if (words == TicWords::powers)
        tics += fmt::format("'{}10^{{{:.0f}}}' ",
                            digit == 1 ? "" : fmt::format("{}\xC2\xB7", digit), power);
      tics += fmt::format("{}e{:.0f}", digit, power);
    }
  if (powers > 1 || tics.empty()) return "";
  return fmt::format("set {}tics ({})\n", axis, tics);
}

std::string dash_of(const Report& report, const std::string& size) {
  // Of gnuplot's own there are five.
  static constexpr std::array<const char*, 8> dashes{
      "1", "(10,5)", "(2,4)", "(12,4,2,4)", "(26,6)", "(5,3,5,10)", "(12,4,2,4,2,4)", "(24,5,8,5)"};
  return dashes[place(report.sizes(), size) % dashes.size()];
}

std::string curve_style_of(const Report& report, const std::string& length, std::size_t points) {
  static constexpr std::array<int, 7> marks{0, 7, 9, 5, 13, 2, 6};
  const int mark = marks[place(report.lengths(), length) % marks.size()];
  if (mark == 0) return "lines";
  return fmt::format("linespoints pt {} ps mark*1.1 pi {}", mark,
                     std::max<std::size_t>(1, points / 8));
}

}  // namespace metascale
