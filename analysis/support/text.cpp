#include "analysis/support/text.hpp"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <utility>

#include "core/error.hpp"

namespace metascale {
namespace {

std::string replace_each(std::string_view text, auto replacement_of) {
  std::string result;
  result.reserve(text.size());
  for (const char letter : text) {
    const std::string_view replacement = replacement_of(letter);
    if (replacement.data() == nullptr)
      result += letter;
    else
      result += replacement;
  }
  return result;
}

// Whether a spreadsheet may compute it. Behind a sign, numbers (also "-inf" and "+1.24 %") and the
// dash that stands for no value are harmless.
bool is_formula(std::string_view text) {
  if (text.empty()) return false;
  if (std::string_view("=@\t\r").find(text.front()) != std::string_view::npos) return true;
  if (text.front() != '+' && text.front() != '-') return false;
  const std::string_view rest = text.substr(1);
  if (rest == "inf" || rest == "nan") return false;
  return rest.find_first_not_of("0123456789.,+-eE% ") != std::string_view::npos;
}

bool is_control(char letter) { return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f; }

}  // namespace

std::string fixed(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

std::string with_sign(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:+.{}f}", value, digits) : "-";
}

std::string short_count(double value) {
  if (!std::isfinite(value)) return "-";
  struct Unit {
    double size;
    const char* name;
  };
  constexpr std::array<Unit, 4> units{{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}}};
  for (const Unit& unit : units) {
    const double count = value / unit.size;
    if (count >= 0.9995) return fmt::format("{:.{}f}{}", count, count < 10 ? 2 : 1, unit.name);
  }
  return fmt::format("{:.0f}", value);
}

std::string scientific(double value) {
  if (!std::isfinite(value) || value <= 0) return "-";
  const std::string text = fmt::format("{:.2e}", value);  // 3.20e+18
  const std::size_t end = text.find('e') + 1;
  return text.substr(0, end) + std::to_string(std::stoi(text.substr(end)));
}

std::string factor(double value) {
  return value >= 0.01 && value < 1e4 ? fixed(value, 2) : scientific(value);
}

std::string percent(double share, int digits) {
  return std::isfinite(share) ? fmt::format("{:+.{}f} %", 100 * share, digits) : "-";
}

std::string interval_text(const Interval& interval, int digits, double scale) {
  if (!interval.known()) return "-";
  const auto end = [&](double value) {
    return std::isinf(value) ? "unbounded" : fmt::format("{:+.{}f}", scale * value, digits);
  };
  return fmt::format("[{}, {}]", end(interval.low), end(interval.high));
}

std::string duration_text(double hours) {
  if (!std::isfinite(hours)) return "-";
  if (hours < 1.0 / 60) return fmt::format("{:.1f} s", hours * 3600);
  if (hours < 1) return fmt::format("{:.1f} min", hours * 60);
  return fmt::format("{:.1f} h", hours);
}

namespace {

// A whole number with a unit of size, where that says it in full: 307200 as 307.2k, 512 as 512.
std::string shorter(std::string_view count) {
  std::int64_t value = 0;
  const auto [stop, problem] = std::from_chars(count.data(), count.data() + count.size(), value);
  if (problem != std::errc() || stop != count.data() + count.size()) return std::string(count);
  constexpr std::array<std::pair<double, char>, 4> units{
      {{1e12, 'T'}, {1e9, 'B'}, {1e6, 'M'}, {1e3, 'k'}}};
  for (const auto& [size, unit] : units) {
    if (double(value) < size) continue;
    const std::string text = fmt::format("{:.4g}", double(value) / size);
    return std::abs(std::stod(text) * size - double(value)) < 0.5 ? text + unit
                                                                  : std::string(count);
  }
  return std::string(count);
}

}  // namespace

std::string length_words(std::string_view label) {
  // The labels of models from scratch beside grown ones end so.
  for (const std::string_view end : {".added", ".total"})
    if (label.size() > end.size() && label.ends_with(end))
      return concat(length_words(label.substr(0, label.size() - end.size())), ", ", end.substr(1));
  for (const std::string_view unit : {"tokens", "flops", "flop", "steps"})
    if (label.size() > unit.size() && label.ends_with(unit)) {
      const std::string_view count = label.substr(0, label.size() - unit.size());
      const bool is_number = std::isdigit(static_cast<unsigned char>(count.front())) != 0;
      if (is_number && count.back() != ' ') return concat(shorter(count), " ", unit);
    }
  return std::string(label);
}

std::string exact(double value) { return fmt::format("{}", value); }

std::string joined(const std::vector<std::string>& parts) {
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string html_escape(std::string_view text) {
  return replace_each(text, [](char letter) -> std::string_view {
    switch (letter) {
      case '&': return "&amp;";
      case '<': return "&lt;";
      case '>': return "&gt;";
      case '"': return "&quot;";
      case '\'': return "&#39;";
      default: return {};
    }
  });
}

std::string csv_escape(std::string_view text) {
  const std::string mark = is_formula(text) ? "'" : "";
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return mark + std::string(text);
  return '"' + mark +
         replace_each(text,
                      [](char letter) -> std::string_view {
                        return letter == '"' ? "\"\"" : std::string_view{};
                      }) +
         '"';
}

std::string markdown_escape(std::string_view text) {
  return replace_each(text, [](char letter) -> std::string_view {
    switch (letter) {
      case '|': return "\\|";
      case '<': return "&lt;";
      case '&': return "&amp;";
      case '\\': return "\\\\";
      case '[': return "\\[";
      case ']': return "\\]";
      case '!': return "\\!";
      case '\n': return " ";
      case '\r': return "";
      case '`': return "\\`";
      case '*': return "\\*";
      case '_': return "\\_";
      default: return {};
    }
  });
}

std::string latex_escape(std::string_view text) {
  return replace_each(text, [](char letter) -> std::string_view {
    switch (letter) {
      case '_': return "\\_";
      case '%': return "\\%";
      case '&': return "\\&";
      case '#': return "\\#";
      case '$': return "\\$";
      case '{': return "\\{";
      case '}': return "\\}";
      case '~': return "\\textasciitilde{}";
      case '^': return "\\textasciicircum{}";
      case '\\': return "\\textbackslash{}";
      case '<': return "\\textless{}";
      case '>': return "\\textgreater{}";
      default: return is_control(letter) ? " " : std::string_view{};
    }
  });
}

std::string slug(std::string_view text) {
  std::string result;
  for (const char letter : text)
    result += std::isalnum(static_cast<unsigned char>(letter)) || letter == '_' ? letter : '-';
  return result;
}

}  // namespace metascale
