#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/figures/drawing.hpp"
#include "analysis/palette.hpp"
#include "analysis/render_json.hpp"
#include "analysis/support/text.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

// Of this one axis only: figures in print are few.
constexpr FitAxis axis = FitAxis::non_embedding_parameters;

// Of an axis; an end without a bound does not count.
struct Range {
  double low = INFINITY, high = 0;

  void add(double value) {
    if (value > 0 && std::isfinite(value)) low = std::min(low, value), high = std::max(high, value);
  }
};

std::string title_of(const IsoflopProfile& profile) { return scientific(profile.flops) + " FLOPs"; }

// Losses of a budget's cells in one block, its parabola in the next. A refused one is dashed.
void add_profile(const IsoflopProfile& profile, const IsoflopBudget& budget, int number,
                 Figure& figure) {
  figure.data += number > 0 ? "\n\n" : "";
  for (const Cell* cell : profile.cells)
    figure.data += fmt::format("{},{}\n", value_on(axis, *cell), cell->loss);
  figure.data += "\n\n";
  for (const double x : log_spaced(budget.smallest, budget.largest))
    figure.data += fmt::format("{},{}\n", x, budget.loss_at(x));
  const int block = 2 * number;
  const std::string colour = gnuplot_text(arm_colour(std::size_t(number)).light);
  figure.plots.push_back(
      fmt::format("'{}.csv' index {} using 1:2 with lines lc rgb {} dt {} lw 1.4 notitle",
                  figure.name, block + 1, colour, budget.problem.empty() ? 1 : 2));
  figure.plots.push_back(fmt::format(
      "'{}.csv' index {} using 1:2 with points lc rgb {} pt {} ps mark*0.9 title {}", figure.name,
      block, colour, 2 * (number % 4) + 5, gnuplot_text(title_of(profile))));
}

void add_profiles(const Report& report, const IsoflopReport& entry, std::vector<Figure>& figures) {
  Figure figure{"isoflop-" + slug(entry.arm), "", "", {}};
  int number = 0;
  Range sizes;
  std::vector<std::string> titles;
  for (const IsoflopProfile& profile : entry.profiles)
    if (profile.no_data.empty()) {
      for (const Cell* cell : profile.cells) sizes.add(value_on(axis, *cell));
      titles.push_back(title_of(profile));
      add_profile(profile, entry.fit->budgets.at(std::size_t(number)), number, figure);
      ++number;
    }
  figure.settings = fmt::format(
      "set xlabel {}\nset ylabel 'Final loss (nats per token)'\nset format y '%.2f'\nset title {} "
      "noenhanced font ',6'\n{}{}",
      title_of(axis), gnuplot_text(entry.arm), key_above(titles, 1),
      log_axis('x', sizes.low / 1.25, 1.25 * sizes.high, TicWords::counts));
  figure.caption = with_scored(
      report, concat("Final losses of ", entry.arm,
                     " at equal FLOPs, and the parabolas through the sizes nearest the lowest "
                     "loss; a dashed one is refused"));
  figures.push_back(std::move(figure));
}

// N* with its interval, one budget a row; refused ones are left out. Then the line and its band.
void add_optima(const Report& report, const IsoflopReport& entry, int& block, Figure& figure) {
  const IsoflopFit& fit = *entry.fit;
  std::string rows, line;
  double low = INFINITY, high = 0;
  for (const IsoflopBudget& budget : fit.budgets) {
    if (!budget.problem.empty()) continue;
    const auto end = [](double value) {  // no whisker where there is no bound
      return value > 0 && std::isfinite(value) ? value : std::nan("");
    };
    rows += fmt::format("{},{},{},{}\n", budget.flops, budget.parameters, end(budget.interval.low),
                        end(budget.interval.high));
    low = std::min(low, budget.flops), high = std::max(high, budget.flops);
  }
  if (rows.empty()) return;
  const std::string colour = colour_of(report, entry.arm);
  figure.data += (block > 0 ? "\n\n" : "") + rows;
  figure.plots.push_back(
      fmt::format("'{}.csv' index {} using 1:2:(valid(3) ? $3 : $2):(valid(4) ? $4 : $2) with "
                  "yerrorbars lc rgb {} pt 0 lw 1.3 notitle",
                  figure.name, block, colour));
  figure.plots.push_back(fmt::format(
      "'{}.csv' index {} using 1:2 with points lc rgb {} pt {} ps mark*1.1 title {}", figure.name,
      block++, colour, point_of(report, entry.arm), gnuplot_text(entry.arm)));
  if (!std::isfinite(fit.exponent)) return;
  for (const double flops : log_spaced(low, high)) {
    const Interval band = fit.predict_interval(flops, report.confidence);
    line += fmt::format("{},{},{},{}\n", flops, fit.predict(flops), band.low, band.high);
  }
  figure.data += "\n\n" + line;
  figure.plots.insert(
      figure.plots.begin(),
      fmt::format("'{}.csv' index {} using 1:3:4 with filledcurves lc rgb {} fs transparent solid "
                  "0.15 noborder notitle",
                  figure.name, block, colour));
  figure.plots.push_back(
      fmt::format("'{}.csv' index {} using 1:2 with lines lc rgb {} lw 1.4 dt {} notitle",
                  figure.name, block++, colour, fit.healthy() ? 1 : 2));
}

}  // namespace

void add_isoflop_figures(const Report& report, std::vector<Figure>& figures) {
  Figure optima{"isoflop-optima", "", "", {}};
  int block = 0;
  Range flops, sizes;
  for (const IsoflopReport& entry : report.isoflops) {
    if (entry.axis != axis || !entry.fit) continue;
    add_profiles(report, entry, figures);
    add_optima(report, entry, block, optima);
    for (const IsoflopBudget& budget : entry.fit->budgets) {
      if (!budget.problem.empty()) continue;
      flops.add(budget.flops);
      for (const double size : {budget.parameters, budget.interval.low, budget.interval.high})
        sizes.add(size);
    }
  }
  if (block == 0) return;
  optima.settings = concat(
      "set xlabel 'Budget (model FLOPs)'\nset ylabel 'Optimal non-embedding parameters' font "
      "',6'\n",
      log_axis('x', flops.low / 1.5, 1.5 * flops.high, TicWords::powers),
      log_axis('y', sizes.low / 1.5, 1.5 * sizes.high, TicWords::counts), key_of_arms(report));
  optima.caption = with_scored(
      report, concat("Sizes of least loss at equal FLOPs with 95 % intervals over the seed noise, "
                     "and the lines through them; a dashed line has a problem"));
  figures.push_back(std::move(optima));
}

}  // namespace metascale
