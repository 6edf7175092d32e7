#include "analysis/lineage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "analysis/figures/drawing.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

std::string row_of(const LineagePoint& point) {
  return fmt::format("{},{},{},{}\n", point.flops, point.loss, point.low, point.high);
}

// A block of points with whiskers from the least to the most of the seeds.
void add_block(const Report& report, const std::string& arm, const std::string& rows,
               const char* style, int& block, Figure& figure) {
  figure.data += (block > 0 ? "\n\n" : "") + rows;
  const std::string colour = colour_of(report, arm);
  figure.plots.push_back(
      fmt::format("'{}.csv' index {} using 1:2:3:4 with yerrorbars lc rgb {} pt 0 lw 1 notitle",
                  figure.name, block, colour));
  figure.plots.push_back(fmt::format("'{}.csv' index {} using 1:2 with {} lc rgb {}", figure.name,
                                     block, style, colour));
  ++block;
}

}  // namespace

void add_lineage_figure(const Report& report, std::vector<Figure>& figures) {
  Figure figure{"lineage", "", "", {}};
  std::vector<std::string> titles;
  std::set<ScratchCompute> computes;  // that some model from scratch has
  int block = 0;
  double first = std::numeric_limits<double>::infinity(), last = 0;
  for (const Lineage& lineage : lineages(report)) {
    std::string rows;
    for (const LineagePoint& stage : lineage.stages) {
      rows += row_of(stage);
      first = std::min(first, stage.flops), last = std::max(last, stage.flops);
    }
    add_block(report, lineage.arm, rows, "linespoints pt 7 ps mark*0.8 lw 1.6", block, figure);
    titles.push_back(lineage.arm + " " + lineage.size);
    figure.plots.back() += " title " + gnuplot_text(titles.back());
    for (const ScratchPoint& scratch : lineage.scratch) {
      const bool total = scratch.compute == ScratchCompute::total;
      computes.insert(scratch.compute);
      add_block(report, scratch.point.arm, row_of(scratch.point),
                total ? "points pt 4 ps mark*1.1 lw 1.4" : "points pt 8 ps mark*1.1 lw 1.4", block,
                figure);
      figure.plots.back() += " notitle";
      first = std::min(first, scratch.point.flops), last = std::max(last, scratch.point.flops);
    }
  }
  if (block == 0) return;
  for (const ScratchCompute compute : computes) {
    const bool total = compute == ScratchCompute::total;
    const int type = total ? 4 : 8;
    const char* words = total ? "scratch, equal total" : "scratch, equal additional";
    titles.push_back(words);
    figure.plots.push_back(fmt::format(
        "keyentry with points pt {} ps mark*1.1 lc rgb '#555555' title '{}'", type, words));
  }
  figure.settings = fmt::format(
      "set xlabel 'Model FLOPs of the whole lineage'\nset ylabel 'Final loss (nats per "
      "token)'\nset "
      "format y '%.2f'\nset offsets 0, 0, graph 0.06, graph 0.06\n{}{}",
      log_axis('x', first / 1.25, last * 1.25, TicWords::powers), key_above(titles));
  figure.caption = with_scored(
      report, concat("Final loss of each stage of a growing model against the model FLOPs of all "
                     "that made it",
                     computes.empty() ? "" : ", and of models from scratch beside it",
                     "; means over seeds, whiskers from the least to the most"));
  figures.push_back(std::move(figure));
}

}  // namespace metascale
