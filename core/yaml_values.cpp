// Typed values out of a YAML tree, and maps whose every key must be read.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/yaml.hpp"

namespace metascale {
namespace {

// Levenshtein's distance of two short words.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

const char* kind_name(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::null: return "nothing";
    case YamlNode::Kind::scalar: return "a single value";
    case YamlNode::Kind::list: return "a list";
    case YamlNode::Kind::map: return "a map";
  }
  return "?";
}

std::string shown(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::scalar) return kind_name(node);
  const std::string text = node.text.size() > 60 ? node.text.substr(0, 57) + "..." : node.text;
  return (node.quoted ? "the quoted string '" : "'") + text + "'";
}

double number_of(const YamlNode& node, const std::string& right) {
  if (node.kind == YamlNode::Kind::scalar && !node.quoted)
    if (const std::optional<double> value = parse_number(node.text)) return *value;
  throw yaml_error(node, shown(node) + " is no number", right);
}

// Length of the longest prefix of text that is a number without a suffix; 0: none.
std::size_t number_length(std::string_view text) {
  std::size_t i = 0;
  const auto digits = [&] {
    const std::size_t begin = i;
    while (i < text.size() && text[i] >= '0' && text[i] <= '9') ++i;
    return i - begin;
  };
  if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
  std::size_t count = digits();
  if (i < text.size() && text[i] == '.') {
    ++i;
    count += digits();
  }
  if (!count) return 0;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    const std::size_t mantissa = i++;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (!digits()) i = mantissa;
  }
  return i;
}

// The suffix becomes part of the exponent, so that 2.3B is rounded once.
std::optional<double> scaled(std::string_view number, int exponent) {
  if (!number.empty() && number[0] == '+') number.remove_prefix(1);
  const std::size_t e = number.find_first_of("eE");
  std::string text(number.substr(0, e));
  if (e != std::string_view::npos) {
    std::string_view digits = number.substr(e + 1);
    if (digits[0] == '+') digits.remove_prefix(1);
    int written = 0;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), written);
    if (code != std::errc() || std::abs(written) > 400) return std::nullopt;
    exponent += written;
  }
  text += "e" + std::to_string(exponent);
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

int suffix_exponent(char suffix) {
  switch (suffix) {
    case 'k': return 3;
    case 'M': return 6;
    case 'B': return 9;
    case 'T': return 12;
    default: return 0;
  }
}

}  // namespace

std::optional<double> parse_number(std::string_view text) {
  const std::size_t length = number_length(text);
  if (!length) return std::nullopt;
  if (length == text.size()) return scaled(text, 0);
  const int exponent = suffix_exponent(text[length]);
  if (!exponent || length + 1 != text.size()) return std::nullopt;
  return scaled(text.substr(0, length), exponent);
}

std::string nearest_of(std::string_view word, std::span<const std::string> candidates) {
  const std::string* best = nullptr;
  std::size_t least = std::max<std::size_t>(2, word.size() / 2) + 1;
  for (const std::string& candidate : candidates)
    if (const std::size_t distance = edit_distance(word, candidate); distance < least) {
      least = distance;
      best = &candidate;
    }
  if (best) return fmt::format("did you mean '{}'?", *best);
  return fmt::format("known here: {}", fmt::join(candidates, ", "));
}

YamlMap::YamlMap(const YamlNode& node) : node_(node) {
  if (node.kind != YamlNode::Kind::map)
    throw yaml_error(node, shown(node) + " where a map belongs",
                     "write keys and values: {key: value}");
}

const YamlNode* YamlMap::find(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
  return node_.find(key);
}

const YamlNode& YamlMap::at(std::string_view key) {
  if (const YamlNode* value = find(key)) return *value;
  throw yaml_error(node_, fmt::format("the key '{}' is missing", key),
                   fmt::format("add '{}: ...'", key));
}

void YamlMap::finish() const {
  for (std::size_t i = 0; i < node_.keys.size(); ++i)
    if (std::find(known_.begin(), known_.end(), node_.keys[i]) == known_.end())
      throw yaml_error(node_.items[i], "unknown key", nearest_of(node_.keys[i], known_));
}

std::string read_string(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::scalar)
    throw yaml_error(node, shown(node) + " where a word belongs",
                     "write one value, quoted if need be");
  return node.text;
}

bool read_bool(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::scalar && !node.quoted) {
    if (node.text == "true") return true;
    if (node.text == "false") return false;
  }
  throw yaml_error(node, shown(node) + " is neither true nor false", "write true or false");
}

std::int64_t read_integer(const YamlNode& node, std::int64_t least, std::int64_t most) {
  constexpr double exact = 9007199254740992.0;  // 2^53: above it a double skips integers
  const std::string right =
      most == std::numeric_limits<std::int64_t>::max()
          ? fmt::format("write a whole number from {} up, such as 2048, 0.5M or 1e6", least)
          : fmt::format("write a whole number from {} to {}", least, most);
  std::int64_t value = 0;
  const char* const end = node.text.data() + node.text.size();
  const bool plain = node.kind == YamlNode::Kind::scalar && !node.quoted;
  if (const auto read = std::from_chars(node.text.data(), end, value);
      !plain || read.ec != std::errc() || read.ptr != end) {
    const double number = number_of(node, right);
    if (number != std::floor(number) || std::abs(number) > exact)
      throw yaml_error(node, shown(node) + " is no whole number", right);
    value = std::int64_t(number);
  }
  if (value < least || value > most)
    throw yaml_error(node, shown(node) + " is out of range", right);
  return value;
}

std::uint64_t read_unsigned(const YamlNode& node) {
  std::uint64_t value = 0;
  const char* const end = node.text.data() + node.text.size();
  const auto read = std::from_chars(node.text.data(), end, value);
  if (node.kind == YamlNode::Kind::scalar && !node.quoted && read.ec == std::errc() &&
      read.ptr == end)
    return value;
  throw yaml_error(node, shown(node) + " is no whole number of 64 bits",
                   "write digits, from 0 to 18446744073709551615");
}

double read_number(const YamlNode& node, double least, double most) {
  const std::string right = fmt::format("write a number from {} to {}", least, most);
  const double value = number_of(node, right);
  if (!(value >= least && value <= most))
    throw yaml_error(node, shown(node) + " is out of range", right);
  return value;
}

double read_percent(const YamlNode& node, double least, double most) {
  const std::string right =
      fmt::format("write a percentage from {:g}% to {:g}%, with its sign", 100 * least, 100 * most);
  const bool has_sign =
      node.kind == YamlNode::Kind::scalar && !node.quoted && node.text.ends_with('%');
  const std::string_view digits =
      has_sign ? std::string_view(node.text).substr(0, node.text.size() - 1) : std::string_view();
  if (!has_sign || number_length(digits) != digits.size() || digits.empty())
    throw yaml_error(node, shown(node) + " is no percentage", right);
  const std::optional<double> value = scaled(digits, -2);
  if (!value || !(*value >= least && *value <= most))
    throw yaml_error(node, shown(node) + " is out of range", right);
  return *value;
}

double read_duration(const YamlNode& node) {
  static constexpr std::string_view units[] = {"s", "m", "h", "d"};
  static constexpr double seconds[] = {1, 60, 3600, 86400};
  const Quantity quantity = read_quantity(node, units);
  const auto unit =
      std::find(std::begin(units), std::end(units), quantity.unit) - std::begin(units);
  return quantity.value * seconds[unit];
}

Quantity read_quantity(const YamlNode& node, std::span<const std::string_view> units) {
  const std::string right = fmt::format("write a number and its unit: {}", fmt::join(units, ", "));
  if (node.kind != YamlNode::Kind::scalar)
    throw yaml_error(node, shown(node) + " is no quantity", right);
  const std::string_view text = node.text;
  std::size_t length = number_length(text);
  if (length && length < text.size() && suffix_exponent(text[length])) ++length;
  const std::size_t unit = std::min(text.find_first_not_of(' ', length), text.size());
  const std::optional<double> value = parse_number(text.substr(0, length));
  if (!value || *value < 0) throw yaml_error(node, shown(node) + " is no quantity", right);
  for (const std::string_view known : units)
    if (text.substr(unit) == known) return {*value, std::string(known)};
  if (unit == text.size()) throw yaml_error(node, shown(node) + " has no unit", right);
  throw yaml_error(node, fmt::format("unknown unit '{}'", text.substr(unit)), right);
}

std::span<const YamlNode> read_list(const YamlNode& node, OneOrMany form) {
  if (node.kind == YamlNode::Kind::list) return node.items;
  if (form == OneOrMany::or_one && node.kind == YamlNode::Kind::scalar) return {&node, 1};
  throw yaml_error(node, shown(node) + " where a list belongs", "write [one, another]");
}

Error choice_error(const YamlNode& node, std::span<const std::string> names) {
  return yaml_error(node, fmt::format("unknown value '{}'", node.text),
                    nearest_of(node.text, names));
}

}  // namespace metascale
