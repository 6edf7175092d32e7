#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "analysis/figures/drawing.hpp"
#include "analysis/probe_curves.hpp"
#include "analysis/support/text.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

// What a guess of any answer with equal weights gets; a better guess may know the answers' shares.
constexpr const char* guess_title = "uniform guess";

template <typename Curves>
std::size_t points_of(const Curves& curves) {
  std::size_t count = 0;
  for (const auto& line : curves.lines) count += line.points.size();
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

// Of each task the curves with most points, the last of equals.
std::vector<DepthCurves> chosen_depths(const Report& report) {
  std::map<std::string, DepthCurves> chosen;
  for (DepthCurves& curves : depth_curves(report)) {
    DepthCurves& best = chosen[curves.task];
    if (points_of(curves) >= points_of(best)) best = std::move(curves);
  }
  std::vector<DepthCurves> list;
  for (auto& [task, curves] : chosen) list.push_back(std::move(curves));
  return list;
}

std::string task_words(const std::string& task, const std::string& held) {
  return task + (held.empty() ? "" : ": " + held);
}

std::string title_setting(const std::string& task, const std::string& held) {
  constexpr std::size_t widest_title = 58;  // letters that one column holds
  const std::string title = task_words(task, held);
  return fmt::format("set title {} noenhanced font ',{}'\n", gnuplot_text(title),
                     title.size() > widest_title ? 5 : 6);
}

// At the points themselves, where these are few.
std::string ticks_setting(const std::set<double>& x) {
  if (x.size() >= 8) return "set format x '%.0s%c'\n";
  std::string ticks;
  for (const double value : x)
    ticks += fmt::format("{}'{}' {}", ticks.empty() ? "" : ", ",
                         value < 1e4 ? fixed(value, 0) : short_count(value), value);
  return "set xtics (" + ticks + ")\n";
}

std::string settings_of(const ProbeCurves& curves) {
  std::set<double> x;
  for (const ProbeLine& line : curves.lines)
    for (const ProbePoint& point : line.points) x.insert(point.x);
  const bool log = curves.axis != ProbeAxis::layers;
  std::vector<std::string> titles;
  for (const ProbeLine& line : curves.lines) titles.push_back(line.arm);
  if (std::isfinite(curves.chance)) titles.push_back(guess_title);
  return fmt::format(
      "{}set xrange [{}:{}]\nset yrange [0:104]\nset xlabel {}\nset ylabel 'Right answers (%)'\n"
      "{}{}{}",
      log ? "set logscale x\n" : "", log ? *x.begin() / 1.15 : *x.begin() - 0.4,
      log ? *x.rbegin() * 1.15 : *x.rbegin() + 0.4, gnuplot_text(words_of(curves.axis)),
      ticks_setting(x), title_setting(curves.task, curves.held), key_above(titles, 1));
}

// Arms stand side by side at a length, for they often need equally many layers.
double beside(std::size_t place, std::size_t arms) {
  return std::pow(1.05, double(place) - double(arms - 1) / 2);
}

std::string settings_of(const DepthCurves& curves) {
  std::set<double> x;
  int deepest = 1;
  std::vector<std::string> titles;
  for (const DepthLine& line : curves.lines) {
    titles.push_back(line.arm);
    for (const DepthPoint& point : line.points)
      x.insert(double(point.trained)), deepest = std::max(deepest, point.tried.back());
  }
  const double margin = 1.1 * beside(curves.lines.size() - 1, curves.lines.size());
  return fmt::format(
      "set logscale x\nset xrange [{}:{}]\nset yrange [0.5:{}]\nset ytics 1\nset xlabel {}\n"
      "set ylabel 'Least layers (open: none up to there)'\n{}{}{}",
      *x.begin() / margin, *x.rbegin() * margin, deepest + 0.5, gnuplot_text(words_of_depth_axis()),
      ticks_setting(x), title_setting(curves.task, curves.held), key_above(titles, 1));
}

// Columns: length, least layers, and where none solved it the most that were tried. What is solved
// is joined by a line. gnuplot names no curve without points: then the open marks have the title.
void add_line(const Report& report, const DepthCurves& curves, std::size_t place, Figure& figure) {
  const DepthLine& line = curves.lines[place];
  figure.data += place > 0 ? "\n\n" : "";
  bool solved = false, open = false;
  for (const DepthPoint& point : line.points) {
    const std::string layers = std::to_string(point.drawn());
    (point.least > 0 ? solved : open) = true;
    figure.data += fmt::format("{},{},{}\n", point.trained, point.least > 0 ? layers : "nan",
                               point.least > 0 ? "nan" : layers);
  }
  const int filled = point_of(report, line.arm);
  const auto plot = [&](int column, const char* style, int mark, const std::string& title) {
    figure.plots.push_back(
        fmt::format("'{}.csv' index {} using ($1*{:.4f}):{} with {} lc rgb {} pt {} ps mark*1.3 {}",
                    figure.name, place, beside(place, curves.lines.size()), column, style,
                    colour_of(report, line.arm), mark, title));
  };
  const std::string title = "title " + gnuplot_text(line.arm);
  if (solved) plot(2, "linespoints lw 1.5", filled, title);
  if (open)  // a thick line would fill the mark
    plot(3, "points lw 0.7", filled == 3 ? 1 : filled - 1, solved ? "notitle" : title);
}

void add_depth_figures(const Report& report, std::vector<Figure>& figures) {
  for (const DepthCurves& curves : chosen_depths(report)) {
    Figure figure{fmt::format("probe-{}-by-depth", slug(curves.task)), "", settings_of(curves), {}};
    for (std::size_t i = 0; i < curves.lines.size(); ++i) add_line(report, curves, i, figure);
    figure.caption = concat("Least layers that solve ", task_words(curves.task, curves.held),
                            "; an open mark, the most that were tried, where none did");
    figures.push_back(std::move(figure));
  }
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
      figure.plots.push_back(fmt::format("{} with lines dt 2 lc rgb '#555555' title '{}'",
                                         100 * curves.chance, guess_title));
    figure.settings = settings_of(curves);
    figure.caption = concat("Right answers on ", task_words(curves.task, curves.held), " against ",
                            words_of(curves.axis),
                            "; means over seeds with 95 % intervals over seeds and examples");
    figures.push_back(std::move(figure));
  }
  add_depth_figures(report, figures);
}

}  // namespace metascale
