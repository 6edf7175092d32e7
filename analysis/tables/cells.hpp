// Cells of numbers: rounded for people, in full for CSV.
#pragma once

#include <cmath>
#include <string>
#include <utility>

#include "analysis/support/text.hpp"
#include "analysis/tables.hpp"

namespace metascale {

// words: for people, or what makes them of the value.
inline TableCell cell_of(double value, std::string words) {
  return {std::move(words), exact(value), "", ""};
}
inline TableCell cell_of(double value, std::string (*words)(double)) {
  return cell_of(value, words(value));
}
inline TableCell rounded(double value, int digits) { return cell_of(value, fixed(value, digits)); }

// A number that is not there.
inline TableCell missing(const char* words) { return {words, "nan", "quiet", ""}; }

inline constexpr const char* not_logged = "not logged";

// Of a number that older logs lack: NaN there.
inline TableCell logged_cell(double value, const std::string& words) {
  return std::isfinite(value) ? cell_of(value, words) : missing(not_logged);
}
inline TableCell logged_cell(double value, std::string (*words)(double)) {
  return logged_cell(value, words(value));
}

}  // namespace metascale
