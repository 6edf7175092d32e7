// Figures for print, drawn by gnuplot: SVG, PDF and PNG, one and two columns wide, each beside the
// script and the data that made it.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "analysis/report.hpp"

namespace metascale {

struct Figure {
  std::string name;                // of its files
  std::string data;                // name.csv; blocks are parted by two empty lines
  std::string settings;            // gnuplot commands
  std::vector<std::string> plots;  // the elements of one plot command
  std::string caption = {};        // what it shows, in what unit; without a full stop
};

// Those that the report has data for.
std::vector<Figure> figures_of(const Report& report);

// The whole script: draws name.{svg,pdf,png} and name-double.{svg,pdf,png} in its own folder.
std::string gnuplot_script(const Figure& figure);

// Removes what earlier reports have drawn there under other names than these. Only what lies beside
// a script of ours is taken for ours; links are left alone.
void remove_other_figures(const std::filesystem::path& folder, const std::set<std::string>& kept);

// All of them with their captions, to be included from their own folder.
std::string latex_of(const std::vector<Figure>& figures);

// Removes others, writes script and data of each and figures.tex, and runs gnuplot. Returns what
// could not be drawn, in words; scripts and data are there all the same. Throws Error{io} if the
// folder cannot be written.
std::vector<std::string> write_figures(const std::vector<Figure>& figures,
                                       const std::filesystem::path& folder, int threads = 1);

}  // namespace metascale
