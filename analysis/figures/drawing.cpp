#include "analysis/figures/drawing.hpp"

#include <algorithm>
#include <array>

#include "analysis/palette.hpp"

namespace metascale {
namespace {

std::size_t place(const std::vector<std::string>& names, const std::string& name) {
  return std::size_t(std::find(names.begin(), names.end(), name) - names.begin());
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

int dash_of(const Report& report, const std::string& size) {
  return int(place(report.sizes(), size) % 5) + 1;
}

}  // namespace metascale
