#include "core/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/yaml.hpp"

namespace metascale {
namespace {

struct Unit {
  std::string_view name;
  double size;
};
constexpr Unit durations[] = {{"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
constexpr Unit byte_units[] = {{"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40},
                               {"kB", 1e3},     {"MB", 1e6},     {"GB", 1e9},     {"TB", 1e12},
                               {"B", 1},        {"", 1}};
constexpr Unit counts[] = {{"", 1}, {"k", 1e3}, {"M", 1e6}, {"B", 1e9}, {"T", 1e12}};
constexpr Unit binary[] = {
    {"B", 1}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};

template <std::size_t Count>
std::optional<double> parse(std::string_view text, const Unit (&units)[Count]) {
  // "e" belongs to an exponent: no unit begins with it.
  const std::size_t digits = text.find_first_not_of("0123456789.+-eE");
  const std::string_view number = text.substr(0, digits);
  std::string_view name = digits == std::string_view::npos ? "" : text.substr(digits);
  while (name.starts_with(' ')) name.remove_prefix(1);
  const std::optional<double> value = parse_number(number);
  if (!value || !std::isfinite(*value) || *value < 0) return std::nullopt;
  for (const Unit& unit : units)
    if (name == unit.name) return *value * unit.size;
  return std::nullopt;
}

// Three significant digits without an exponent, and without zeros that say nothing.
std::string three_digits(double value) {
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  std::string text = fmt::format("{:.{}f}", value, decimals);
  if (decimals == 0) return text;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

// The largest unit in which the value, rounded, is not below 1.
template <std::size_t Count>
const Unit& unit_for(double value, const Unit (&units)[Count]) {
  std::size_t chosen = 0;
  while (chosen + 1 < Count && value >= 0.9995 * units[chosen + 1].size) ++chosen;
  return units[chosen];
}

}  // namespace

std::optional<double> parse_duration(std::string_view text) { return parse(text, durations); }
std::optional<double> parse_bytes(std::string_view text) { return parse(text, byte_units); }

std::string format_count(double value) {
  if (!std::isfinite(value)) return fmt::format("{}", value);
  if (value < 0) return fmt::format("-{}", format_count(-value));
  if (value >= 999.5e12 || (value > 0 && value < 0.01)) return fmt::format("{:.3g}", value);
  const Unit& unit = unit_for(value, counts);
  return fmt::format("{}{}", three_digits(value / unit.size), unit.name);
}

std::string format_bytes(double bytes) {
  if (!std::isfinite(bytes) || bytes < 0) return fmt::format("{} B", bytes);
  const Unit& unit = unit_for(bytes, binary);
  return fmt::format("{} {}", three_digits(bytes / unit.size), unit.name);
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  if (seconds < 0) return fmt::format("-{}", format_duration(-seconds));
  if (seconds < 0.9995) return fmt::format("{} ms", three_digits(seconds * 1e3));
  if (seconds < 59.95) return fmt::format("{} s", three_digits(seconds));
  const auto whole = std::int64_t(std::llround(std::min(seconds, 1e15)));
  if (whole < 3600) return fmt::format("{}m {:02}s", whole / 60, whole % 60);
  const std::int64_t minutes = whole / 60;
  if (minutes < 24 * 60) return fmt::format("{}h {:02}m", minutes / 60, minutes % 60);
  return fmt::format("{}d {:02}h", minutes / (24 * 60), minutes / 60 % 24);
}

std::string format_rate(double per_second, std::string_view unit) {
  return fmt::format("{} {}/s", format_count(per_second), unit);
}

}  // namespace metascale
