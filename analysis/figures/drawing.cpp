#include "analysis/figures/drawing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "analysis/palette.hpp"

namespace metascale {
namespace {

std::size_t place(const std::vector<std::string>& names, const std::string& name) {
  return std::size_t(std::find(names.begin(), names.end(), name) - names.begin());
}

struct LogTic {
  double lead;
  int power;

  double value() const { return lead * std::pow(10.0, power); }
};

constexpr std::size_t fewest_tics = 3, most_tics = 7;  // one column has room for these

// Of each power of ten; the coarser first.
const std::vector<std::vector<double>>& leads_of_tics() {
  static const std::vector<std::vector<double>> leads{
      {1},
      {1, 3},
      {1, 2, 5},
      {1, 1.5, 2, 3, 4, 5, 6, 8},
      {1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9}};
  return leads;
}

std::vector<LogTic> tics_at(const std::vector<double>& leads, double low, double high) {
  std::vector<LogTic> tics;
  for (int power = int(std::floor(std::log10(low))); std::pow(10.0, power) <= high; ++power)
    for (const double lead : leads)
      if (const LogTic tic{lead, power}; tic.value() >= low && tic.value() <= high)
        tics.push_back(tic);
  return tics;
}

std::string words_of(const LogTic& tic, TicWords words) {
  if (words == TicWords::counts) return count_words(tic.value());
  return fmt::format("{}10^{{{}}}", tic.lead == 1 ? "" : fmt::format("{:g}\xC2\xB7", tic.lead),
                     tic.power);
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
  constexpr std::size_t many_rows = 5;  // a plot below them is lower than its label is long
  return fmt::format(
      "set key at screen 0.5, screen 0.985 center top horizontal maxcols {} font ',6'\n"
      "set tmargin line*{:.1f}\n{}",
      columns, 1.15 * double(rows) + 0.9 + 1.3 * double(lines),
      rows < many_rows ? "" : "set ylabel font ',5.5'\n");
}

std::string key_of_arms(const Report& report) { return key_above(report.collection.arms); }

KeyEntry entry_of_size(const Report& report, const std::string& size) {
  return {fmt::format("lines lc rgb '#777777' dt {} lw 1.4", dash_of(report, size)), size};
}

std::string add_key(const std::vector<KeyEntry>& entries, Figure& figure) {
  std::vector<std::string> titles;
  for (const KeyEntry& entry : entries) {
    figure.plots.push_back(
        fmt::format("keyentry with {} title {}", entry.style, gnuplot_text(entry.title)));
    titles.push_back(entry.title);
  }
  return key_above(titles) + "set key samplen 4\n";  // a long dash shows in no less
}

std::string count_words(double value) {
  static constexpr std::pair<double, const char*> units[]{
      {1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}};
  for (const auto& [size, name] : units)
    if (value >= size) return fmt::format("{:.3g}{}", value / size, name);
  return fmt::format("{:.3g}", value);
}

std::string title_of(FitAxis axis) {
  switch (axis) {
    case FitAxis::non_embedding_parameters: return "'Non-embedding parameters'";
    case FitAxis::parameters: return "'Parameters'";
    case FitAxis::training_flops: return "'Training compute (model FLOPs)'";
    case FitAxis::tokens: return "'Training tokens'";
  }
  return "''";
}

std::string with_scored(const Report& report, const std::string& words) {
  return words + (report.scored.empty() ? "" : ". " + report.scored);
}

std::string log_axis(char axis, double low, double high, TicWords words) {
  if (!(low > 0) || !(high > low) || !std::isfinite(high)) return "";
  std::vector<LogTic> tics;
  for (const auto& leads : leads_of_tics()) {
    tics = tics_at(leads, low, high);
    if (tics.size() >= fewest_tics) break;
  }
  const std::size_t every = (tics.size() + most_tics - 1) / most_tics;
  std::string list;
  for (std::size_t i = 0; i < tics.size(); i += every)
    list += fmt::format("{}'{}' {}", list.empty() ? "" : ", ", words_of(tics[i], words),
                        tics[i].value());
  for (const LogTic& tic : tics_at({1, 2, 3, 4, 5, 6, 7, 8, 9}, low, high))
    list += fmt::format(", '' {} 1", tic.value());  // level 1: without words, and shorter
  return fmt::format("set logscale {0}\nset {0}range [{1}:{2}]\nset {0}tics ({3})\n", axis, low,
                     high, list);
}

std::string loss_axis(double low, double high) {
  low *= 0.985, high *= 1.015;
  double step = 0.01;
  for (const double candidate : {0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0})
    if ((high - low) / step > 9) step = candidate;
  std::string tics;
  for (double tic = std::ceil(low / step) * step; tic < high; tic += step)
    tics += fmt::format("{}'{:.{}f}' {}", tics.empty() ? "" : ", ", tic, step < 0.1 ? 2 : 1, tic);
  return fmt::format("set logscale y\nset ytics ({})\nset yrange [{}:{}]\n", tics, low, high);
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
