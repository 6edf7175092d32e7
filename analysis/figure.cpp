#include "analysis/figure.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/figures/drawing.hpp"
#include "analysis/support/text.hpp"
#include "core/atomic_file.hpp"
#include "core/command.hpp"
#include "core/error.hpp"
#include "core/file.hpp"
#include "core/parallel.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

constexpr double gnuplot_seconds = 60;

// Widths of one and two columns of a page, in centimetres, as journals give them. All three forms
// have one layout; mark makes points in SVG as large as in the others, line the lines of a key as
// high.
constexpr const char* terminals = R"(if (!exists("formats")) formats = "svg pdf png"
set datafile separator comma
set datafile missing "nan"
set encoding utf8
set pointsize 0.01  # in SVG whiskers stand on white discs of this size; plots have their own ps
set border 3 lw 0.8 lc rgb "#555555"
set tics nomirror out scale 0.5 textcolor rgb "#333333"
set grid ytics lt 1 lw 0.5 lc rgb "#e4e4e4"
set key noenhanced samplen 2.2 spacing 1.15 textcolor rgb "#222222"
)";

constexpr const char* loop_head = R"(do for [columns=1:2] {
  wide = columns == 1 ? 8.6 : 17.8
  high = columns == 1 ? 6.4 : 9.0
  do for [format in formats] {
    mark = format eq "svg" ? 0.4 : 1.0
    line = format eq "svg" ? 1.3 : 1.0
    if (format eq "svg") {
      set terminal svg size wide*72/2.54, high*72/2.54 dynamic enhanced font "DejaVu Sans,7" linewidth 0.6 background "white"
    }
    if (format eq "pdf") { set terminal pdfcairo size wide cm, high cm enhanced font "DejaVu Sans,7" }
    if (format eq "png") {
      set terminal pngcairo size wide*118, high*118 enhanced font "DejaVu Sans,7" fontscale 4.1*72/96 linewidth 3
    }
)";

// Inside the loop, whose terminal and variables they need.
std::string indented(const std::string& settings) {
  std::string text = "    unset arrow\n    set key spacing (format eq \"svg\" ? 0.7 : 1.15)\n    ";
  for (const char letter : settings) {
    text += letter;
    if (letter == '\n') text += "    ";
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

constexpr const char* script_head = "# Draws this figure again: gnuplot ";
constexpr const char* latex_file = "figures.tex";
constexpr const char* latex_head = "% The figures of a metascale report with their captions.\n";

// A comment must not end before its text does, whatever an arm is called.
std::string one_line(std::string text) {
  for (char& letter : text)
    if (letter == '\n' || letter == '\r') letter = ' ';
  return text;
}

// What lies there under the name of a file of ours, unless it is a link or a folder.
void remove_own_file(const fs::path& file) {
  std::error_code problem;  // what cannot be removed stays: the report does not fail by it
  if (fs::symlink_status(file, problem).type() == fs::file_type::regular) fs::remove(file, problem);
}

void remove_pictures(const fs::path& folder, const std::string& name) {
  for (const char* end : {".svg", ".pdf", ".png", "-double.svg", "-double.pdf", "-double.png"})
    remove_own_file(folder / (name + end));
}

bool begins_with(const fs::path& file, const std::string& head) {
  try {
    return read_file(file, 1u << 20, Links::refuse).starts_with(head);
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

void remove_other_figures(const fs::path& folder, const std::set<std::string>& kept) {
  std::error_code problem;
  if (fs::symlink_status(folder, problem).type() != fs::file_type::directory) return;
  std::vector<fs::path> scripts;
  for (const auto& entry : fs::directory_iterator(folder, problem))
    if (entry.path().extension() == ".gp" && !kept.contains(entry.path().stem().string()) &&
        begins_with(entry.path(), script_head + entry.path().filename().string() + "\n"))
      scripts.push_back(entry.path());
  for (const fs::path& script : scripts) {  // the script last: it tells that the others are ours
    const std::string name = script.stem().string();
    remove_pictures(folder, name);
    remove_own_file(folder / (name + ".csv"));
    remove_own_file(script);
  }
  if (kept.empty() && begins_with(folder / latex_file, latex_head))
    remove_own_file(folder / latex_file);
}

std::string latex_of(const std::vector<Figure>& figures) {
  std::string text = latex_head;
  for (const Figure& figure : figures)
    text += fmt::format(
        "\\begin{{figure}}\n  \\centering\n  \\includegraphics{{{0}.pdf}}% two columns: "
        "{0}-double.pdf\n  \\caption{{{1}.}}\n  \\label{{fig:{0}}}\n\\end{{figure}}\n",
        figure.name, latex_escape(figure.caption));
  return text;
}

std::string gnuplot_script(const Figure& figure) {
  std::string plots;
  for (const std::string& plot : figure.plots)
    plots += (plots.empty() ? "" : ", \\\n         ") + plot;
  return script_head + figure.name + ".gp\n# " + one_line(figure.caption) + ".\n" + terminals +
         loop_head + indented(figure.settings) +
         fmt::format(
             "    set output \"{}\" . (columns == 1 ? \"\" : \"-double\") . \".\" . format\n",
             figure.name) +
         "    plot " + plots + "\n    unset output\n  }\n}\n";
}

std::vector<std::string> write_figures(const std::vector<Figure>& figures,
                                       const std::filesystem::path& folder, int threads) {
  make_own_folder(folder);
  std::set<std::string> names;
  for (const Figure& figure : figures) names.insert(figure.name);
  remove_other_figures(folder, names);
  for (const Figure& figure : figures) {
    write_file_atomically(folder / (figure.name + ".csv"), figure.data);
    write_file_atomically(folder / (figure.name + ".gp"), gnuplot_script(figure));
  }
  if (!figures.empty()) write_file_atomically(folder / latex_file, latex_of(figures));
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
    if (result.good()) continue;
    remove_pictures(folder, figures[i].name);  // of an earlier report's data
    problems.push_back(fmt::format("gnuplot could not draw {}{}: {}", figures[i].name,
                                   result.timed_out ? " in time" : "",
                                   result.output.substr(0, 300)));
  }
  const bool missing = std::any_of(results.begin(), results.end(),
                                   [](const CommandResult& result) { return !result.found; });
  if (missing)
    return {
        "gnuplot is not installed: figures/ holds scripts and data, but no pictures "
        "(install gnuplot-nox)."};
  return problems;
}

}  // namespace metascale
