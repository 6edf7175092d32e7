// Numbers and names as people read them, and text made safe for HTML, CSV, Markdown and LaTeX.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "analysis/interval.hpp"

namespace metascale {

std::string fixed(double value, int digits);  // "-" if not finite
std::string with_sign(double value, int digits);
std::string short_count(double value);              // 151.9M, 3.20B, 812
std::string scientific(double value);               // 3.20e18
std::string factor(double value);                   // 1.25; 5.30e75
std::string percent(double share, int digits = 2);  // with sign: -1.24 %
std::string interval_text(const Interval& interval, int digits, double scale = 1);  // [a, b]
std::string duration_text(double hours);  // 12 s, 3.4 min, 5.1 h
// A length's label, in which the sweep leaves no space, for people: "400ktokens" as "400k tokens",
// "307200tokens" as "307.2k tokens".
std::string length_words(std::string_view label);
// Shortest text that reads back as the same number; "nan" and "inf" as such.
std::string exact(double value);

std::string joined(const std::vector<std::string>& parts);  // by "; "

std::string html_escape(std::string_view text);
// Quoted if it must be. What a spreadsheet would take for a formula (it begins with = or @, or with
// + or - and is no number) gets an apostrophe in front, by which spreadsheets mark text.
std::string csv_escape(std::string_view text);
std::string markdown_escape(std::string_view text);  // for a table's cell
std::string latex_escape(std::string_view text);     // one line, also behind a %
// Letters, digits, '-' and '_' kept, all else '-': part of a file name or an element's id.
std::string slug(std::string_view text);

}  // namespace metascale
