#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "analysis/figures/drawing.hpp"
#include "analysis/palette.hpp"

namespace metascale {
namespace {

constexpr double megabyte = 1e6;

// Architectures with the same form of state lie on one another: rings and crosses in turn.
const char* mark_of(int block) { return block % 2 == 0 ? "pt 6 ps mark*1.2" : "pt 2 ps mark*0.7"; }

void add_model(const ContextModel& model, int block, Figure& figure) {
  figure.data += block > 0 ? "\n\n" : "";
  for (const ContextPoint& point : model.generation)
    figure.data += fmt::format("{},{},{}\n", point.tokens, point.bytes / megabyte,
                               point.resident_bytes / megabyte);
  const std::string colour = gnuplot_text(arm_colour(std::size_t(block)).light);
  figure.plots.push_back(fmt::format(
      "'{}.csv' index {} using 1:2 with lines dt 2 lc rgb {} notitle", figure.name, block, colour));
  figure.plots.push_back(fmt::format(
      "'{}.csv' index {} using 1:($3 > 0 ? $3 : NaN) with points {} lw 1.3 lc rgb {} title {}",
      figure.name, block, mark_of(block), colour, gnuplot_text(model.architecture)));
}

}  // namespace

void add_generation_memory_figure(const Report& report, std::vector<Figure>& figures) {
  if (!report.collection.context) return;
  Figure figure{.name = "generation-memory", .data = "", .settings = "", .plots = {}};
  std::int64_t first = std::numeric_limits<std::int64_t>::max(), last = 0;
  std::vector<std::string> titles;
  int block = 0;
  for (const ContextModel& model : report.collection.context->models) {
    if (model.generation.empty()) continue;
    first = std::min(first, model.generation.front().tokens);
    last = std::max(last, model.generation.back().tokens);
    titles.push_back(model.architecture);
    add_model(model, block++, figure);
  }
  if (block == 0) return;
  titles.push_back("state, as computed");
  figure.plots.push_back("NaN with lines dt 2 lc rgb '#555555' title 'state, as computed'");
  figure.settings = fmt::format(
      "set logscale xy\nset xrange [{}:{}]\nset xlabel 'Tokens before the generated one'\nset "
      "ylabel 'Memory of generation (MB)'\nset format x '10^{{%L}}'\nset format y '10^{{%L}}'\n"
      "{}",
      0.8 * double(first), 1.25 * double(last), key_above(titles));
  figure.caption =
      "Memory of generation against the position: marks as measured, dashed lines as computed";
  figures.push_back(std::move(figure));
}

}  // namespace metascale
