// config.yaml, read.
#include <nlohmann/json.hpp>

#include "data/mixture.hpp"
#include "experiments/configuration/check.hpp"
#include "experiments/configuration/fields.hpp"

namespace metascale {
namespace {

constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max();

// Reads one map. A key may be absent where the default of its field is a valid value.
class Reader {
 public:
  explicit Reader(YamlMap& map) : map_(map) {}

  void integer(const char* key, std::int64_t& value, std::int64_t least = 0,
               std::int64_t most = no_limit) {
    if (const YamlNode* node = find(key, value < least)) value = read_integer(*node, least, most);
  }
  void number(const char* key, double& value, double least, double most) {
    if (const YamlNode* node = find(key, value < least)) value = read_number(*node, least, most);
  }
  void seed(const char* key, std::uint64_t& value) { map_.read(key, value, read_unsigned); }
  void flag(const char* key, bool& value) { map_.read(key, value, read_bool); }
  void late_flag(const char* key, bool& value) { flag(key, value); }
  void probe(const char* key, ProbeSettings& value) {
    map_.read(key, value, [](const YamlNode& node) { return read_probe(node); });
  }
  void text(const char* key, std::string& value) { map_.read(key, value, read_string); }
  void path(const char* key, std::filesystem::path& value) { map_.read(key, value, read_string); }
  template <typename Enum, std::size_t Count>
  void choice(const char* key, Enum& value, const Named<Enum> (&table)[Count]) {
    map_.read(key, value, [&](const YamlNode& node) { return read_choice(node, table); });
  }
  template <typename Enum, std::size_t Count>
  void late_choice(const char* key, Enum& value, const Named<Enum> (&table)[Count], Enum) {
    choice(key, value, table);
  }
  template <std::size_t Count>
  void word(const char* key, std::string& value, const Named<Word> (&table)[Count]) {
    map_.read(key, value, [&](const YamlNode& node) { return read_word(node, table); });
  }
  template <std::size_t Count>
  void late_word(const char* key, std::string& value, const Named<Word> (&table)[Count],
                 const char*) {
    word(key, value, table);
  }
  void integers(const char* key, std::vector<std::int64_t>& value, std::int64_t least) {
    map_.read(key, value, [least](const YamlNode& node) {
      return read_list_of(node,
                          [least](const YamlNode& item) { return read_integer(item, least); });
    });
  }
  void late_texts(const char* key, std::vector<std::string>& value) {
    map_.read(key, value, [](const YamlNode& node) { return read_list_of(node, read_string); });
  }
  void mixture(const char* key, std::string& value) { map_.read(key, value, read_mixture); }
  void words(const char* key, std::map<std::string, std::string>& value) {
    const YamlNode* node = map_.find(key);
    if (!node) return;
    const YamlMap is_map(*node);
    for (std::size_t i = 0; i < node->keys.size(); ++i)
      value[node->keys[i]] = read_string(node->items[i]);
  }
  template <typename Item, typename Body>
  void list(const char* key, std::vector<Item>& value, Body&& body) {
    const YamlNode* node = map_.find(key);
    if (!node) return;
    for (const YamlNode& item : read_list(*node))
      read_map(item, [&](YamlMap& map) {
        Reader inner(map);
        body(inner, value.emplace_back());
      });
  }
  template <typename Body>
  void group(const char* key, Body&& body) {
    const YamlNode* node = map_.find(key);
    YamlNode empty;
    empty.kind = YamlNode::Kind::map;
    if (!node) {
      empty.path = key;
      empty.where = map_.node().where;
    }
    read_map(node ? *node : empty, [&](YamlMap& map) {
      Reader inner(map);
      body(inner);
    });
  }

 private:
  const YamlNode* find(const char* key, bool required) {
    return required ? &map_.at(key) : map_.find(key);
  }
  YamlMap& map_;
};

RunConfig run_config_of(const YamlNode& root) {
  RunConfig run;
  read_map(root, [&](YamlMap& map) {
    map.at("schema");
    Reader reader(map);
    fields(reader, run);
  });
  check_run(root, run);
  return run;
}

}  // namespace

std::string read_mixture(const YamlNode& node) {
  std::string text;
  if (node.kind == YamlNode::Kind::map) {
    nlohmann::json json = nlohmann::json::object();
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
      const YamlMap is_map(node.items[i]);
      for (std::size_t k = 0; k < node.items[i].keys.size(); ++k)
        json[node.keys[i]][node.items[i].keys[k]] = read_number(node.items[i].items[k], 0, 1e12);
    }
    text = json.dump();
  } else {
    text = read_string(node);
  }
  try {
    return to_text(parse_mixture(text));
  } catch (const Error& error) {
    constexpr std::string_view key = "data.mixture: ";  // the place says it already
    std::string what = error.what();
    if (what.starts_with(key)) what.erase(0, key.size());
    throw yaml_error(node, what, "write as_stored, or see data.mixture in docs/sweep-file.md");
  }
}

RunConfig read_run_config(const std::filesystem::path& path) {
  return run_config_of(read_yaml(path));
}

RunConfig parse_run_config(const std::string& text, const std::string& file_name) {
  return run_config_of(parse_yaml(text, file_name));
}

}  // namespace metascale
