#include <fmt/format.h>

#include <cmath>

#include "analysis/figure.hpp"
#include "analysis/figures/drawing.hpp"
#include "analysis/render_json.hpp"
#include "analysis/support/text.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

// So that the words of neighbours stay apart in one column.
int font_of_tics(const std::vector<std::string>& words) {
  std::size_t longest = 0;
  for (const std::string& word : words) longest = std::max(longest, word.size());
  const std::size_t letters = (longest + 1) * words.size();
  return letters <= 44 ? 7 : letters <= 60 ? 5 : 4;
}

// Final loss per size, one line per arm: the paper's Figure 2.
void add_loss_by_size(const Report& report, std::vector<Figure>& figures) {
  for (const std::string& length : report.lengths()) {
    const auto sizes = report.sizes();
    Figure figure{"loss-by-size-" + slug(length), "place,size", "", {}};
    for (const std::string& arm : report.collection.arms)
      figure.data += "," + csv_escape(arm) + "," + csv_escape(arm + " deviation");
    figure.data += "\n";
    std::string tics;
    bool any = false;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      figure.data += fmt::format("{},{}", i, csv_escape(sizes[i]));
      for (const std::string& arm : report.collection.arms) {
        const Cell* cell = report.cell(arm, sizes[i], length);
        any = any || cell != nullptr;
        figure.data +=
            cell == nullptr ? ",nan,nan" : fmt::format(",{},{}", cell->loss, cell->loss_deviation);
      }
      figure.data += "\n";
      tics += fmt::format("{}{} {}", i > 0 ? ", " : "", gnuplot_text(sizes[i]), i);
    }
    if (!any) continue;
    figure.settings = fmt::format(
        "set xrange [-0.35:{}]\nset xtics ({}) noenhanced font ',{}'\nset xlabel 'Model size'\nset "
        "ylabel 'Final loss (nats per token)'\nset format y '%.2f'\nset offsets "
        "0, 0, graph 0.06, graph 0.06\n{}",
        double(sizes.size()) - 0.65, tics, font_of_tics(sizes), key_of_arms(report));
    figure.caption =
        with_scored(report, concat("Final loss of every arm per size at ", length_words(length),
                                   "; whiskers are one standard deviation over seeds"));
    int column = 3;
    for (const std::string& arm : report.collection.arms) {
      const std::string colour = colour_of(report, arm);
      figure.plots.push_back(fmt::format(  // one seed has no deviation: no whisker
          "'{}.csv' skip 1 using 1:(${} > 0 ? ${} : NaN):{} with yerrorbars lc rgb {} pt 0 lw 1.6 "
          "notitle",
          figure.name, column + 1, column, column + 1, colour));
      figure.plots.push_back(fmt::format(
          "'{}.csv' skip 1 using 1:{} with linespoints lc rgb {} pt {} ps mark*0.9 lw 1.6 title {}",
          figure.name, column, colour, point_of(report, arm), gnuplot_text(arm)));
      column += 2;
    }
    figures.push_back(std::move(figure));
  }
}

// Both axes of a figure of laws in one variable.
std::string ranges_of(const Report& report, FitAxis axis, const std::string& length) {
  double low = INFINITY, high = 0, first = INFINITY, last = 0;
  for (const ArmFit& entry : report.fits) {
    if (entry.axis != axis || entry.length != length) continue;
    for (const FitPoint& point : entry.fit.points) {
      low = std::min(low, point.loss), high = std::max(high, point.loss);
      first = std::min(first, point.x[0]), last = std::max(last, point.x[0]);
    }
  }
  return loss_axis(low, high) +
         log_axis('x', 0.8 * first, 1.25 * last,
                  axis == FitAxis::training_flops ? TicWords::powers : TicWords::counts);
}

void add_scaling(const Report& report, FitAxis axis, std::vector<Figure>& figures) {
  for (const std::string& length : report.lengths()) {
    Figure figure{fmt::format("loss-by-{}-{}", slug(name_of(axis)), slug(length)), "", "", {}};
    std::vector<std::string> points;
    int block = 0;
    for (const ArmFit& entry : report.fits) {
      if (entry.axis != axis || entry.length != length) continue;
      const std::string colour = colour_of(report, entry.arm);
      figure.data += block > 0 ? "\n\n" : "";
      for (const double x : line_of(entry.fit)) {
        const double at[] = {x};
        const Interval band = entry.fit.predict_interval(at);
        figure.data += fmt::format("{},{},{},{}\n", x, entry.fit.predict(at), band.low, band.high);
      }
      figure.data += "\n\n";
      for (const FitPoint& point : entry.fit.points)
        figure.data += fmt::format("{},{}\n", point.x[0], point.loss);
      figure.plots.push_back(
          fmt::format("'{}.csv' index {} using 1:3:4 with filledcurves lc rgb {} fs "
                      "transparent solid 0.15 noborder notitle",
                      figure.name, block, colour));
      figure.plots.push_back(
          fmt::format("'{}.csv' index {} using 1:2 with lines lc rgb {} lw 1.4 dt {} "
                      "notitle",
                      figure.name, block, colour, entry.fit.healthy() ? 1 : 2));
      points.push_back(fmt::format(
          "'{}.csv' index {} using 1:2 with points lc rgb {} pt {} ps mark*1.1 "
          "title {}",
          figure.name, block + 1, colour, point_of(report, entry.arm), gnuplot_text(entry.arm)));
      block += 2;
    }
    if (block == 0) continue;
    figure.plots.insert(figure.plots.end(), points.begin(), points.end());
    figure.settings =
        fmt::format("set xlabel {}\nset ylabel 'Final loss (nats per token)'\n{}{}", title_of(axis),
                    ranges_of(report, axis, length), key_of_arms(report));
    figure.caption = with_scored(
        report,
        concat("Final losses of runs at ", length_words(length), " against ", words_of(axis),
               ", with the fitted law of each arm and its 95 % bootstrap band; a dashed "
               "law has a problem"));
    figures.push_back(std::move(figure));
  }
}

struct Bar {
  std::string label, arm;
  double value;
  Interval interval;  // unknown of few documents: no whisker
};

// Horizontal points with intervals, one row each. figure: its name and caption.
void add_rows(const Report& report, Figure figure, const std::vector<Bar>& bars,
              std::vector<Figure>& figures) {
  if (bars.empty()) return;
  std::string tics;
  std::vector<std::string> titles;
  int block = 0;
  for (const std::string& arm : report.collection.arms) {
    std::string rows;
    bool whiskers = false;
    for (std::size_t i = 0; i < bars.size(); ++i) {
      const Bar& bar = bars[i];
      if (bar.arm != arm) continue;
      rows += fmt::format("{},{},{},{},{}\n", bar.value, bars.size() - i, exact(bar.interval.low),
                          exact(bar.interval.high), csv_escape(bar.label));
      whiskers = whiskers || bar.interval.known();
    }
    if (rows.empty()) continue;
    figure.data += (block > 0 ? "\n\n" : "") + rows;
    const std::string colour = colour_of(report, arm);
    if (whiskers)
      figure.plots.push_back(
          fmt::format("'{}.csv' index {} using 1:2:3:4 with xerrorbars lc rgb {} pt 0 lw 1.3 "
                      "notitle",
                      figure.name, block, colour));
    figure.plots.push_back(
        fmt::format("'{}.csv' index {} using 1:2 with points lc rgb {} pt {} ps mark*1.1 title {}",
                    figure.name, block, colour, point_of(report, arm), gnuplot_text(arm)));
    titles.push_back(arm);
    ++block;
  }
  for (std::size_t i = 0; i < bars.size(); ++i)
    tics += fmt::format("{}{} {}", i > 0 ? ", " : "", gnuplot_text(bars[i].label), bars.size() - i);
  figure.settings = fmt::format(
      "set ytics ({}) noenhanced font ',{}'\nset yrange [0.4:{}]\nset xlabel 'Difference in loss "
      "(%)'\n"
      "set xrange [*<0:0<*]\nset arrow from 0, graph 0 to 0, graph 1 nohead dt 2 lc rgb "
      "'#555555'\nset offsets graph 0.03, graph 0.03, 0, 0\n{}",
      tics, bars.size() > 14 ? 5 : 6, double(bars.size()) + 0.6, key_above(titles));
  figures.push_back(std::move(figure));
}

Bar bar_of(const std::string& label, const std::string& arm, const PairedResult& result) {
  const double scale = 100 / result.first_loss;
  const Interval& nats = result.with_seeds;
  return {label, arm, 100 * result.relative, {scale * nats.low, scale * nats.high}};
}

void add_differences(const Report& report, std::vector<Figure>& figures) {
  std::vector<Bar> pairs, domains;
  const PairReport* largest = nullptr;  // the last arm against the baseline at the largest size
  for (const PairReport& pair : report.pairs) {
    if (!pair.problem.empty() || pair.pair->first_arm != report.collection.baseline()) continue;
    pairs.push_back(bar_of(pair.pair->size + " " + length_words(pair.pair->length),
                           pair.pair->second_arm, pair.result));
    if (largest == nullptr || largest->pair->second_arm != pair.pair->second_arm ||
        pair.first->parameters >= largest->first->parameters)
      largest = &pair;
  }
  const std::string& baseline = report.collection.baseline();
  const auto named = [&](const char* name, const std::string& what) {
    return Figure{name,
                  "",
                  "",
                  {},
                  with_scored(report, what + ", with 95 % intervals over "
                                             "documents and seeds")};
  };
  add_rows(report,
           named("paired-differences", concat("Paired differences of final loss to ", baseline,
                                              ", in per cent of its loss")),
           pairs, figures);
  if (largest == nullptr) return;
  for (const DomainDifference& entry : largest->domains)
    domains.push_back(bar_of(entry.domain, largest->pair->second_arm, entry.result));
  add_rows(report,
           named("domains", concat("Paired differences of ", largest->pair->second_arm, " to ",
                                   baseline, " at ", largest->pair->size,
                                   " per domain, in per "
                                   "cent of its loss there")),
           domains, figures);
}

}  // namespace

std::vector<Figure> figures_of(const Report& report) {
  std::vector<Figure> figures;
  add_loss_by_size(report, figures);
  add_curve_figures(report, figures);
  add_scaling(report, FitAxis::non_embedding_parameters, figures);
  add_scaling(report, FitAxis::training_flops, figures);
  add_law_figures(report, figures);
  add_isoflop_figures(report, figures);
  add_differences(report, figures);
  add_lineage_figure(report, figures);
  add_probe_figures(report, figures);
  add_generation_memory_figure(report, figures);
  return figures;
}

}  // namespace metascale
