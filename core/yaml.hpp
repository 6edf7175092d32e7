// Strict reading of YAML. Every value knows its file, line and column; a doubled key, a key that
// nobody read, a wrong type or unit is an Error{usage} of the form
//   file:line: key: what is wrong; what would be right
// Only the plain part of the language is taken: no aliases, no tags, no second document, and
// nothing is guessed: `no`, `on` and `1B` are words, never booleans; numbers are those of YAML 1.2.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace metascale {

struct Location {
  std::string file;
  int line = 0, column = 0;  // from 1
};

struct YamlNode {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  std::string text;     // of a scalar, as written
  bool quoted = false;  // a quoted scalar is a string, whatever it looks like
  bool flow = false;    // written as [..] or {..}
  std::string path;     // "training.schedule.kind", "axes.size[2].layers"; empty: the root
  Location where;       // of the value
  Location key_where;   // of its key, for a value in a map
  std::vector<std::string> keys;  // of a map: keys[i] names items[i]
  std::vector<YamlNode> items;    // of a list or a map

  const YamlNode* find(
      std::string_view key) const;  // nullptr where this is no map or has no such key
};

// A hostile file ends with an error, not with a full memory or a hanging program.
struct YamlLimits {
  std::size_t bytes = 1 << 20;
  std::size_t nodes = 100'000;
  std::size_t keys = 1000;  // of one map
  int bases = 64;           // files read for base:
  int depth = 32;
};

YamlNode parse_yaml(const std::string& text, const std::string& file_name,
                    const YamlLimits& limits = {});
YamlNode read_yaml(const std::filesystem::path& path, const YamlLimits& limits = {});

// `base: other.yaml` (or a list, later ones over earlier ones) at the top of a file: those files
// lie underneath. Maps are merged key by key, base's keys first; lists and scalars are replaced as
// a whole. File names are relative to the file (folder) that names them.
YamlNode with_bases(YamlNode root, const std::filesystem::path& folder,
                    const YamlLimits& limits = {});
YamlNode merge_over(const YamlNode& base, const YamlNode& top);

// assignment: "training.context=512". Adds maps on the way as needed; the value is YAML.
void set_yaml(YamlNode& root, const std::string& assignment);

std::string to_yaml(const YamlNode& node);       // parse_yaml gives an equal tree
std::string yaml_string(std::string_view text);  // quoted where it must be to stay a string
std::string yaml_number(double value);  // the shortest text that reads back to the same bits

// ---- errors

// The error of a value: "file:line: path: wrong; right".
[[nodiscard]] Error yaml_error(const YamlNode& node, const std::string& wrong,
                               const std::string& right);
// "did you mean 'tolerance'?", or all the candidates where none is near.
std::string nearest_of(std::string_view word, std::span<const std::string> candidates);

// ---- maps

// A map whose keys must all be asked for.
class YamlMap {
 public:
  explicit YamlMap(const YamlNode& node);
  const YamlNode* find(std::string_view key);  // nullptr where absent; the key counts as known
  const YamlNode& at(std::string_view key);    // an error where absent
  // target = read(value) where the key is there; target keeps its default where it is not.
  template <typename T, typename Read>
  void read(std::string_view key, T& target, Read&& read_value) {
    if (const YamlNode* value = find(key)) target = read_value(*value);
  }
  const YamlNode& node() const { return node_; }
  void finish() const;  // a key that was not asked for is an error that names the nearest known one

 private:
  const YamlNode& node_;
  std::vector<std::string> known_;
};

// Reads all of a map: body asks for the keys, and what it did not ask for is an error.
template <typename Body>
void read_map(const YamlNode& node, Body&& body) {
  YamlMap map(node);
  body(map);
  map.finish();
}

// ---- values

// Decimal numbers of YAML 1.2, with an optional suffix k, M, B or T (1e3, 1e6, 1e9, 1e12).
std::optional<double> parse_number(std::string_view text);

std::string read_string(const YamlNode& node);
bool read_bool(const YamlNode& node);  // true or false, nothing else
std::int64_t read_integer(const YamlNode& node, std::int64_t least = 0,
                          std::int64_t most = std::numeric_limits<std::int64_t>::max());
std::uint64_t read_unsigned(const YamlNode& node);  // all 64 bits
double read_number(const YamlNode& node, double least, double most);
double read_percent(const YamlNode& node, double least = 0, double most = 1);  // 0.5% is 0.005
double read_duration(const YamlNode& node);  // seconds, from 120s, 30m, 4h, 2d

// "250M tokens", "1 step", "2x": a number and one of the units.
struct Quantity {
  double value = 0;
  std::string unit;
};
Quantity read_quantity(const YamlNode& node, std::span<const std::string_view> units);

// A scalar stands for a list of one where or_one is said.
enum class OneOrMany { list_only, or_one };
std::span<const YamlNode> read_list(const YamlNode& node, OneOrMany form = OneOrMany::list_only);

template <typename Read>
auto read_list_of(const YamlNode& node, Read&& read_value, OneOrMany form = OneOrMany::list_only) {
  std::vector<decltype(read_value(node))> values;
  for (const YamlNode& item : read_list(node, form)) values.push_back(read_value(item));
  return values;
}

template <typename Enum>
struct Named {
  const char* name;
  Enum value;
};

[[nodiscard]] Error choice_error(const YamlNode& node, std::span<const std::string> names);

template <typename Enum, std::size_t Count>
Enum read_choice(const YamlNode& node, const Named<Enum> (&table)[Count]) {
  const std::string text = read_string(node);
  std::vector<std::string> names;
  for (const Named<Enum>& row : table) {
    if (text == row.name) return row.value;
    names.push_back(row.name);
  }
  throw choice_error(node, names);
}

template <typename Enum, std::size_t Count>
const char* name_in(const Named<Enum> (&table)[Count], Enum value) {
  for (const Named<Enum>& row : table)
    if (row.value == value) return row.name;
  return "?";
}

}  // namespace metascale
