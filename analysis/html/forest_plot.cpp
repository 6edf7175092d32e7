#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/html/parts.hpp"
#include "analysis/palette.hpp"
#include "analysis/support/text.hpp"

namespace metascale {
namespace {

constexpr double width = 1000, left = 330, right = 190, row_height = 27, top = 40;

double nice_step(double range) {
  const double rough = range / 6, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double lead : {1.0, 2.0, 5.0})
    if (rough <= lead * power) return lead * power;
  return 10 * power;
}

struct Row {
  std::string label;
  ArmColour colour;
  double value;
  Interval inner, outer;  // documents; documents and seeds
};

std::vector<Row> rows_of(const Report& report) {
  std::vector<Row> rows;
  const auto& arms = report.collection.arms;
  for (const PairReport& pair : report.pairs) {
    if (!pair.problem.empty()) continue;
    const PairedResult& result = pair.result;
    const double scale = 100 / result.first_loss;
    const auto arm = std::find(arms.begin(), arms.end(), pair.pair->second_arm) - arms.begin();
    rows.push_back({pair.pair->second_arm + " - " + pair.pair->first_arm + ", " + pair.pair->size +
                        " " + length_words(pair.pair->length),
                    arm_colour(std::size_t(arm)),
                    100 * result.relative,
                    {scale * result.bca.low, scale * result.bca.high},
                    {scale * result.with_seeds.low, scale * result.with_seeds.high}});
  }
  return rows;
}

struct Scale {
  double low = 0, high = 0;
  double x(double value) const {
    return left + (std::clamp(value, low, high) - low) / (high - low) * (width - left - right);
  }
};

// Wide intervals (two seeds) are cut at three times the spread of the values, lest they hide all.
Scale scale_of(const std::vector<Row>& rows) {
  double reach = 0, furthest = 0;
  for (const Row& row : rows) {
    reach =
        std::max({reach, std::abs(row.value), std::abs(row.inner.low), std::abs(row.inner.high)});
    for (const double end : {row.outer.low, row.outer.high})
      if (std::isfinite(end)) furthest = std::max(furthest, std::abs(end));
  }
  Scale scale;
  for (const Row& row : rows) {
    scale.low = std::min({scale.low, row.value, row.inner.low, row.outer.low});
    scale.high = std::max({scale.high, row.value, row.inner.high, row.outer.high});
  }
  if (reach > 0 && furthest > 3 * reach)
    scale.low = std::max(scale.low, -3 * reach), scale.high = std::min(scale.high, 3 * reach);
  const double margin = 0.04 * std::max(scale.high - scale.low, 1e-6);
  scale.low -= margin, scale.high += margin;
  return scale;
}

std::string draw_row(const Row& row, const Scale& scale, double y) {
  const auto line = [&](const Interval& interval, const char* name) {
    return fmt::format(
        "<line class=\"{}\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\" "
        "stroke=\"var(--arm)\" stroke-linecap=\"round\"/>",
        name, scale.x(interval.low), scale.x(interval.high), y, y);
  };
  return fmt::format("<text x=\"0\" y=\"{:.1f}\">{}</text>", y + 4, html_escape(row.label)) +
         fmt::format("<g class=\"mark\" style=\"--light:{};--dark:{}\">", row.colour.light,
                     row.colour.dark) +
         (row.outer.known() ? line(row.outer, "thin") : "") +
         (row.inner.known() ? line(row.inner, "thick") : "") +
         fmt::format(
             "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.6\" fill=\"var(--arm)\" "
             "stroke=\"var(--panel)\" stroke-width=\"1.6\"/></g>",
             scale.x(row.value), y) +
         fmt::format(
             "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:+.2f} %</text>"
             "<text class=\"soft\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>",
             width - 118, y + 4, row.value, width, y + 4, interval_text(row.outer, 2));
}

}  // namespace

std::string forest_plot(const Report& report) {
  const std::vector<Row> rows = rows_of(report);
  if (rows.empty()) return "";
  const Scale scale = scale_of(rows);
  const double bottom = top + row_height * double(rows.size());
  std::string svg = fmt::format(
      "<svg class=\"forest\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"Paired differences in "
      "loss with intervals; the table below holds the same numbers\">",
      width, bottom + 46);
  const double step = nice_step(scale.high - scale.low);
  for (double tick = std::ceil(scale.low / step) * step; tick <= scale.high; tick += step)
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>"
        "<text class=\"soft\" x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>",
        scale.x(tick), top - 12, bottom, bottom + 17,
        std::abs(tick) < step / 1e6 ? "0" : fmt::format("{:+g}", tick));
  svg += fmt::format("<line class=\"zero\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>",
                     scale.x(0), top - 12, bottom);
  svg += fmt::format(
      "<text class=\"soft\" x=\"{:.1f}\" y=\"18\" text-anchor=\"end\">&#8592; lower loss"
      "</text><text class=\"soft\" x=\"{:.1f}\" y=\"18\">higher loss &#8594;</text>",
      scale.x(0) - 8, scale.x(0) + 8);
  svg += fmt::format(
      "<text class=\"soft\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">difference in "
      "loss, percent</text>",
      (left + width - right) / 2, bottom + 37);
  for (std::size_t i = 0; i < rows.size(); ++i)
    svg += draw_row(rows[i], scale, top + row_height * (double(i) + 0.5));
  return svg + "</svg>";
}

}  // namespace metascale
