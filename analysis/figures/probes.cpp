#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "analysis/figures/drawing.hpp"
#include "analysis/probe_curves.hpp"
#include "analysis/support/text.hpp"

namespace metascale {
namespace {

std::size_t points_of(const ProbeCurves& curves) {
  std::size_t count = 0;
  for (const ProbeLine& line : curves.lines) count += line.points.size();
  return count;
}

// Figures in print are few: of each task and axis the curves with most points, the last of equals.
// How far back the evidence lies is the question of needles only.
std::vector<ProbeCurves> chosen_curves(const Report& report) {
  std::map<std::pair<std::string, ProbeAxis>, ProbeCurves> chosen;
  for (ProbeCurves& curves : probe_curves(report)) {
    if (curves.axis == ProbeAxis::distance && curves.task != "needle") continue;
    ProbeCurves& best = chosen[{curves.task, curves.axis}];
    if (points_of(curves) >= points_of(best)) best = std::move(curves);
  }
  std::vector<ProbeCurves> list;
  for (auto& [key, curves] : chosen) list.push_back(std::move(curves));
  return list;
}

// Ticks at the points themselves, where these are few.
std::string settings_of(const ProbeCurves& curves) {
  std::set<double> x;
  for (const ProbeLine& line : curves.lines)
    for (const ProbePoint& point : line.points) x.insert(point.x);
  const bool log = curves.axis != ProbeAxis::layers;
  const std::string title = curves.task + ": " + curves.held;
  constexpr std::size_t widest_title = 58;  // letters that one column holds
  std::vector<std::string> titles;
  for (const ProbeLine& line : curves.lines) titles.push_back(line.arm);
  if (std::isfinite(curves.chance)) titles.push_back("chance");
  std::string ticks;
  for (const double value : x)
    ticks += fmt::format("{}'{}' {}", ticks.empty() ? "" : ", ",
                         value < 1e4 ? fixed(value, 0) : short_count(value), value);
  return fmt::format(
      "{}set xrange [{}:{}]\nset yrange [0:104]\nset xlabel {}\nset ylabel 'Right answers (%)'\n"
      "{}set title {} noenhanced font ',{}'\n{}",
      log ? "set logscale x\n" : "", log ? *x.begin() / 1.15 : *x.begin() - 0.4,
      log ? *x.rbegin() * 1.15 : *x.rbegin() + 0.4, gnuplot_text(words_of(curves.axis)),
      x.size() < 8 ? "set xtics (" + ticks + ")\n" : "set format x '%.0s%c'\n", gnuplot_text(title),
      title.size() > widest_title ? 5 : 6, key_above(titles, 1));
}

void add_line(const Report& report, const ProbeLine& line, int block, Figure& figure,
              std::vector<std::string>& lines) {
  figure.data += block > 0 ? "\n\n" : "";
  for (const ProbePoint& point : line.points)
    figure.data += fmt::format("{},{},{},{}\n", point.x, 100 * point.share.value,
                               100 * point.share.interval.low, 100 * point.share.interval.high);
  const std::string colour = colour_of(report, line.arm);
  const bool band = std::any_of(line.points.begin(), line.points.end(),
                                [](const ProbePoint& one) { return one.share.interval.known(); });
  if (band) {  // a band needs two points, whiskers one
    if (line.points.size() > 1)
      figure.plots.push_back(
          fmt::format("'{}.csv' index {} using 1:3:4 with filledcurves lc rgb {} fs transparent "
                      "solid 0.13 noborder notitle",
                      figure.name, block, colour));
    lines.push_back(
        fmt::format("'{}.csv' index {} using 1:2:3:4 with yerrorbars lc rgb {} pt 0 lw 0.9 notitle",
                    figure.name, block, colour));
  }
  lines.push_back(fmt::format(
      "'{}.csv' index {} using 1:2 with linespoints lc rgb {} pt {} ps mark*0.8 lw 1.5 title {}",
      figure.name, block, colour, point_of(report, line.arm), gnuplot_text(line.arm)));
}

}  // namespace

void add_probe_figures(const Report& report, std::vector<Figure>& figures) {
  for (const ProbeCurves& curves : chosen_curves(report)) {
    Figure figure{
        fmt::format("probe-{}-by-{}", slug(curves.task), name_of(curves.axis)), "", "", {}};
    std::vector<std::string> lines;  // above the bands
    int block = 0;
    for (const ProbeLine& line : curves.lines) add_line(report, line, block++, figure, lines);
    figure.plots.insert(figure.plots.end(), lines.begin(), lines.end());
    if (std::isfinite(curves.chance))
      figure.plots.push_back(
          fmt::format("{} with lines dt 2 lc rgb '#555555' title 'chance'", 100 * curves.chance));
    figure.settings = settings_of(curves);
    figures.push_back(std::move(figure));
  }
}

}  // namespace metascale
