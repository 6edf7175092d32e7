#include "analysis/figure.hpp"

#include <fmt/format.h>

#include "analysis/figures/drawing.hpp"
#include "core/atomic_file.hpp"
#include "core/command.hpp"
#include "core/error.hpp"
#include "core/parallel.hpp"

namespace metascale {
namespace {

constexpr double gnuplot_seconds = 60;

// Widths of one and two columns of a page, in centimetres, as journals give them.
constexpr const char* terminals = R"(if (!exists("formats")) formats = "svg pdf png"
set datafile separator comma
set datafile missing "nan"
set encoding utf8
set border 3 lw 0.8 lc rgb "#555555"
set tics nomirror out scale 0.5 textcolor rgb "#333333"
set grid ytics lt 1 lw 0.5 lc rgb "#e4e4e4"
set key noenhanced samplen 2.2 spacing 1.15 textcolor rgb "#222222"
)";

constexpr const char* loop_head = R"(do for [columns=1:2] {
  wide = columns == 1 ? 8.6 : 17.8
  high = columns == 1 ? 6.4 : 9.0
  do for [format in formats] {
    if (format eq "svg") {
      set terminal svg size wide*62, high*62 dynamic enhanced font "DejaVu Sans,12" background "white"
    }
    if (format eq "pdf") { set terminal pdfcairo size wide cm, high cm enhanced font "DejaVu Sans,7" }
    if (format eq "png") {
      set terminal pngcairo size wide*118, high*118 enhanced font "DejaVu Sans,7" fontscale 4.1*72/96 linewidth 3
    }
)";

}  // namespace

std::string gnuplot_script(const Figure& figure) {
  std::string plots;
  for (const std::string& plot : figure.plots)
    plots += (plots.empty() ? "" : ", \\\n         ") + plot;
  return "# Draws this figure again: gnuplot " + figure.name + ".gp\n" + terminals +
         figure.settings + loop_head +
         fmt::format(
             "    set output \"{}\" . (columns == 1 ? \"\" : \"-double\") . \".\" . format\n",
             figure.name) +
         "    plot " + plots + "\n    unset output\n  }\n}\n";
}

std::vector<std::string> write_figures(const Report& report, const std::filesystem::path& folder,
                                       int threads) {
  std::filesystem::create_directories(folder);
  const std::vector<Figure> figures = figures_of(report);
  for (const Figure& figure : figures) {
    write_file_atomically(folder / (figure.name + ".csv"), figure.data);
    write_file_atomically(folder / (figure.name + ".gp"), gnuplot_script(figure));
  }
  std::vector<CommandResult> results(figures.size());
  std::vector<std::string> problems;
  parallel_for(threads, std::int64_t(figures.size()), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      try {  // an exception must not leave the parallel loop
        results[std::size_t(i)] =
            run_command({"gnuplot", figures[std::size_t(i)].name + ".gp"},
                        {.folder = folder, .seconds = gnuplot_seconds, .joined = true});
      } catch (const Error& error) {
        results[std::size_t(i)].output = error.what();
      }
    }
  });
  for (std::size_t i = 0; i < figures.size(); ++i) {
    const CommandResult& result = results[i];
    if (!result.found)
      return {
          "gnuplot is not installed: figures/ holds scripts and data, but no pictures "
          "(install gnuplot-nox)."};
    if (!result.good())
      problems.push_back(fmt::format("gnuplot could not draw {}{}: {}", figures[i].name,
                                     result.timed_out ? " in time" : "",
                                     result.output.substr(0, 300)));
  }
  return problems;
}

}  // namespace metascale
