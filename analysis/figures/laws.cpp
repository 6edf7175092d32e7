#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/figures/drawing.hpp"
#include "analysis/law_curves.hpp"
#include "analysis/support/text.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

// The curve with its band in one block, the cells in the next.
void add_data(const LawCurve& curve, int block, Figure& figure) {
  figure.data += block > 0 ? "\n\n" : "";
  for (std::size_t i = 0; i < curve.tokens.size(); ++i)
    figure.data += fmt::format("{},{},{},{}\n", curve.tokens[i], curve.loss[i], curve.band[i].low,
                               curve.band[i].high);
  figure.data += "\n\n";
  for (const LawPoint& point : curve.points)
    figure.data += fmt::format("{},{},{}\n", point.tokens, point.loss, point.deviation);
}

void add_plots(const Report& report, const LawCurve& curve, int block, Figure& figure) {
  const std::string colour = colour_of(report, curve.arm);
  if (curve.band.front().known())
    figure.plots.insert(
        figure.plots.begin(),
        fmt::format("'{}.csv' index {} using 1:3:4 with filledcurves lc rgb {} fs transparent "
                    "solid 0.13 noborder notitle",
                    figure.name, block, colour));
  figure.plots.push_back(
      fmt::format("'{}.csv' index {} using 1:2 with lines lc rgb {} dt {} lw 1.2 notitle",
                  figure.name, block, colour, dash_of(report, curve.size)));
  figure.plots.push_back(fmt::format(  // one seed has no deviation: no whisker
      "'{}.csv' index {} using 1:($3 > 0 ? $2 : NaN):3 with yerrorbars lc rgb {} pt 0 lw 1 notitle",
      figure.name, block + 1, colour));
  figure.plots.push_back(
      fmt::format("'{}.csv' index {} using 1:2 with points lc rgb {} pt {} ps mark*0.9 notitle",
                  figure.name, block + 1, colour, point_of(report, curve.arm)));
}

// Arms by colour and mark, sizes by dash. Returns the key's settings.
std::string add_key_of_law(const Report& report, const LawCurves& law, Figure& figure) {
  const auto drawn = [&](const std::string& name, std::string LawCurve::*member) {
    return std::any_of(law.curves.begin(), law.curves.end(),
                       [&](const LawCurve& curve) { return curve.*member == name; });
  };
  std::vector<KeyEntry> entries;
  for (const std::string& arm : report.collection.arms)
    if (drawn(arm, &LawCurve::arm))
      entries.push_back({fmt::format("points lc rgb {} pt {} ps mark*0.9", colour_of(report, arm),
                                     point_of(report, arm)),
                         arm});
  for (const std::string& size : report.sizes())
    if (drawn(size, &LawCurve::size)) entries.push_back(entry_of_size(report, size));
  return add_key(entries, figure);
}

std::string ranges_of(const LawCurves& law) {
  double first = INFINITY, last = 0, low = INFINITY, high = 0;
  for (const LawCurve& curve : law.curves) {
    first = std::min(first, curve.tokens.front()), last = std::max(last, curve.tokens.back());
    low = std::min(low, curve.loss.back()), high = std::max(high, curve.loss.front());
    for (const LawPoint& point : curve.points)
      low = std::min(low, point.loss), high = std::max(high, point.loss);
  }
  return loss_axis(low, high) + log_axis('x', first / 1.1, last * 1.1, TicWords::counts);
}

}  // namespace

void add_law_figures(const Report& report, std::vector<Figure>& figures) {
  for (const LawCurves& law : law_curves(report)) {
    Figure figure{"loss-by-tokens-" + slug(law.key), "", "", {}};
    int block = 0;
    for (const LawCurve& curve : law.curves) {
      add_data(curve, block, figure);
      add_plots(report, curve, block, figure);
      block += 2;
    }
    const std::string key = add_key_of_law(report, law, figure);
    figure.settings = fmt::format("set xlabel {}\nset ylabel 'Final loss (nats per token)'\n{}{}",
                                  title_of(FitAxis::tokens), ranges_of(law), key);
    figure.caption = with_scored(
        report,
        concat("Final losses of cells against tokens, means over seeds, and the law in N and D of ",
               law.title, "; colour is the arm, dash the size", law.words.empty() ? "" : ". ",
               law.words.substr(0, law.words.find_last_not_of('.') + 1)));
    figures.push_back(std::move(figure));
  }
}

}  // namespace metascale
