#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/bands.hpp"
#include "analysis/figures/drawing.hpp"
#include "analysis/support/text.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

// Colour says the arm, dash the size, a mark the length where there are several. Returns the key's
// settings.
std::string add_key_of_curves(const Report& report, Figure& figure) {
  std::vector<KeyEntry> entries;
  for (const std::string& arm : report.collection.arms)
    entries.push_back({fmt::format("lines lc rgb {} lw 2.4", colour_of(report, arm)), arm});
  for (const std::string& size : report.sizes()) entries.push_back(entry_of_size(report, size));
  if (const std::vector<std::string> lengths = report.lengths(); lengths.size() > 1)
    for (const std::string& length : lengths)
      entries.push_back({curve_style_of(report, length, 1) + " lc rgb '#777777' dt 1 lw 1.4",
                         length_words(length)});
  return add_key(entries, figure);
}

std::string caption_of_curves(const Report& report, bool by_flops) {
  return concat("Training loss against ", by_flops ? "model FLOPs" : "tokens",
                "; colour is the arm, dash the size",
                report.lengths().size() > 1 ? ", marks the length" : "",
                ", and a band the range of seeds. Losses are nats per token of each step's batch, "
                "smoothed, ",
                report.tokenizer);
}

double x_of(const CurvePoint& point, bool by_flops) {
  return by_flops ? point.flops : double(point.tokens);
}

std::string block_of(const SeedBand& band, bool by_flops) {
  std::string block = csv_escape(fmt::format("# {} {} {}: mean, lowest and highest of {} runs",
                                             band.arm, band.size, band.length, band.runs.size())) +
                      "\n";
  for (std::size_t i = 0; i < band.mean.size(); ++i)
    block += fmt::format("{},{},{},{}\n", x_of(band.mean[i], by_flops), band.mean[i].loss,
                         band.low[i], band.high[i]);
  return block;
}

void add_curves(const Report& report, bool by_flops, std::vector<Figure>& figures) {
  Figure figure{by_flops ? "curves-by-flops" : "curves-by-tokens", "", "", {}};
  double lowest = INFINITY, start = 0, first = INFINITY, last = 0;
  int block = 0;
  std::vector<std::string> lines;  // above the bands
  const auto add = [&](const SeedBand& band) {
    figure.data += (block > 0 ? "\n\n" : "") + block_of(band, by_flops);
    for (const CurvePoint& point : band.mean)
      lowest = std::min(lowest, point.loss), last = std::max(last, x_of(point, by_flops));
    const CurvePoint& early = band.mean[band.mean.size() / 6];  // what is before is off the picture
    start = std::max(start, early.loss), first = std::min(first, x_of(early, by_flops));
    const std::string colour = colour_of(report, band.arm);
    if (band.runs.size() > 1)  // of one run gnuplot fills what lies between its ends
      figure.plots.push_back(fmt::format(
          "'{}.csv' index {} using 1:3:4 with filledcurves lc rgb {} fs transparent solid "
          "0.2 noborder notitle",
          figure.name, block, colour));
    lines.push_back(fmt::format(
        "'{}.csv' index {} using 1:2 with {} lc rgb {} dt {} lw 1.2 notitle", figure.name, block,
        curve_style_of(report, band.length, band.mean.size()), colour, dash_of(report, band.size)));
    ++block;
  };
  for (const SeedBand& band : seed_bands(report)) add(band);
  figure.plots.insert(figure.plots.end(), lines.begin(), lines.end());
  if (block == 0) return;
  const std::string key = add_key_of_curves(report, figure);
  figure.settings = fmt::format(
      "set xlabel {}\nset ylabel 'Training loss (nats per token)'\nset format y '%.1f'\nset yrange "
      "[{}:{}]\n{}{}",
      by_flops ? "'Training compute (model FLOPs)'" : "'Training tokens'", 0.97 * lowest,
      1.05 * start, key,
      log_axis('x', 0.9 * first, 1.05 * last, by_flops ? TicWords::powers : TicWords::counts));
  figure.caption = caption_of_curves(report, by_flops);
  figures.push_back(std::move(figure));
}

}  // namespace

void add_curve_figures(const Report& report, std::vector<Figure>& figures) {
  add_curves(report, false, figures);
  add_curves(report, true, figures);
}

}  // namespace metascale
