// Whether a figure's PDF shows what the figure is made of.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "analysis/figure.hpp"
#include "core/command.hpp"

namespace metascale::testing {

inline std::string first_bytes(const std::filesystem::path& path, std::size_t count) {
  std::string bytes(count, '\0');
  std::ifstream(path, std::ios::binary).read(bytes.data(), std::streamsize(count));
  return bytes;
}

// Colours of the figure's plots, as "#rrggbb".
inline std::set<std::string> colours_of(const Figure& figure) {
  std::set<std::string> colours;
  for (const std::string& plot : figure.plots)
    for (std::size_t at = plot.find("'#"); at != std::string::npos; at = plot.find("'#", at + 1))
      colours.insert(plot.substr(at + 1, 7));
  return colours;
}

// One page on which every plot has left its colour, and more strokes than there are rows of data.
inline void expect_drawn(const std::filesystem::path& pdf, const Figure& figure) {
  CAPTURE(pdf.string());
  CHECK(first_bytes(pdf, 5) == "%PDF-");
  const CommandResult looked =
      run_command({"/usr/bin/python3", METASCALE_SOURCE "/tests/analysis/look_at_pdf.py", pdf});
  INFO(looked.output << looked.error);
  REQUIRE(looked.good());
  const auto seen = nlohmann::json::parse(looked.output);
  CHECK(seen.at("pages") == 1);
  const auto painted = seen.at("colours").get<std::set<std::string>>();
  for (const std::string& colour : colours_of(figure)) {
    CAPTURE(colour);
    CHECK(painted.contains(colour));
  }
  const auto rows = std::count(figure.data.begin(), figure.data.end(), '\n');
  CHECK(seen.at("segments") > rows);
}

// No text and no line of the drawing is cut off by the edge of its page.
inline void expect_inside(const std::filesystem::path& svg) {
  CAPTURE(svg.string());
  const CommandResult looked =
      run_command({"/usr/bin/python3", METASCALE_SOURCE "/tests/analysis/look_at_svg.py", svg});
  INFO(looked.output << looked.error);
  REQUIRE(looked.good());
  CHECK(nlohmann::json::parse(looked.output).empty());
}

}  // namespace metascale::testing
