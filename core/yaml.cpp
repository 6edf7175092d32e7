// The tree: parsing by yaml-cpp's events (they carry marks and show doubled keys), bases, --set,
// emission.
#include "core/yaml.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <sstream>

#include "core/atomic_file.hpp"

namespace metascale {
namespace {

namespace files = std::filesystem;

Error located(const Location& where, const std::string& path, const std::string& wrong,
              const std::string& right) {
  const std::string key = path.empty() ? std::string() : path + ": ";
  return Error(fmt::format("{}:{}: {}{}; {}", where.file, where.line, key, wrong, right),
               ExitCode::usage);
}

std::string child_path(const std::string& parent, const std::string& key) {
  return parent.empty() ? key : parent + "." + key;
}

// Builds the tree. yaml-cpp calls it in document order; open_ is the way from the root.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& file, const YamlLimits& limits) : file_(file), limits_(limits) {}

  YamlNode root;

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++)
      throw located(at(mark), "", "a second document", "keep one document per file");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    place(mark, "?", anchor, YamlNode::Kind::null, "");
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw located(at(mark), path_of_next(), "an alias (*name)",
                  "write the value out, or put what is shared into a file named by base:");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (!open_.empty() && top().kind == YamlNode::Kind::map && !has_key_)
      return take_key(mark, value);
    YamlNode& node = place(mark, tag, anchor, YamlNode::Kind::scalar, value);
    node.quoted = tag == "!";
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    open(place(mark, tag, anchor, YamlNode::Kind::list, ""), mark, style);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    open(place(mark, tag, anchor, YamlNode::Kind::map, ""), mark, style);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  Location at(const YAML::Mark& mark) const { return {file_, mark.line + 1, mark.column + 1}; }
  YamlNode& top() const { return *open_.back(); }
  std::string path_of_next() const {
    if (open_.empty()) return "";
    if (top().kind == YamlNode::Kind::map)
      return has_key_ ? child_path(top().path, key_) : top().path;
    return fmt::format("{}[{}]", top().path, top().items.size());
  }

  void take_key(const YAML::Mark& mark, const std::string& key) {
    key_ = key;
    key_where_ = at(mark);
    has_key_ = true;
    if (key == "<<")
      throw located(key_where_, top().path, "a merge key (<<)", "use base: with a file instead");
    if (top().keys.size() >= limits_.keys)
      throw located(key_where_, top().path,
                    fmt::format("more than {} keys in one map", limits_.keys), "split the file");
    const YamlNode* first = top().find(key);
    if (first)
      throw located(key_where_, path_of_next(),
                    fmt::format("this key is here twice (first in line {})", first->key_where.line),
                    "keep one of them");
  }

  YamlNode& place(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YamlNode::Kind kind, const std::string& text) {
    const std::string path = path_of_next();
    if (anchor != YAML::NullAnchor)
      throw located(at(mark), path, "an anchor (&name)", "remove it: aliases are not read");
    if (!tag.empty() && tag != "?" && tag != "!")
      throw located(at(mark), path, fmt::format("a tag ('{}')", tag), "remove it");
    if (++nodes_ > limits_.nodes)
      throw located(at(mark), path, fmt::format("more than {} values", limits_.nodes),
                    "split the file");
    YamlNode node;
    node.kind = kind;
    node.text = text;
    node.path = path;
    node.where = at(mark);
    return attach(std::move(node));
  }

  YamlNode& attach(YamlNode node) {
    if (open_.empty()) return root = std::move(node);
    if (top().kind == YamlNode::Kind::map) {
      if (!has_key_)
        throw located(node.where, top().path, "a key that is a list, a map or nothing",
                      "a key is a word");
      top().keys.push_back(key_);
      node.key_where = key_where_;
      has_key_ = false;
    }
    top().items.push_back(std::move(node));
    return top().items.back();
  }

  void open(YamlNode& node, const YAML::Mark& mark, YAML::EmitterStyle::value style) {
    if (int(open_.size()) >= limits_.depth)
      throw located(at(mark), node.path, fmt::format("nested deeper than {}", limits_.depth),
                    "nothing here is that deep: look for a bracket that is not closed");
    node.flow = style == YAML::EmitterStyle::Flow;
    open_.push_back(&node);  // stays valid: a parent's items grow only when its children are closed
  }

  std::string file_;
  YamlLimits limits_;
  std::vector<YamlNode*> open_;
  std::string key_;
  Location key_where_;
  bool has_key_ = false;
  std::size_t nodes_ = 0;
  int documents_ = 0;
};

// A base under a base under ...: a chain longer than this is a circle, or nobody can follow it.
constexpr int base_depth = 8;

YamlNode with_bases(YamlNode root, const files::path& folder, YamlLimits& limits, int depth) {
  const YamlNode* named = root.find("base");
  if (!named) return root;
  if (depth >= base_depth)
    throw yaml_error(*named, fmt::format("more than {} files stand on one another", base_depth),
                     "look for a file that names itself as its base");
  YamlNode merged;
  for (const YamlNode& name : read_list(*named, OneOrMany::or_one)) {
    if (limits.bases-- <= 0)
      throw yaml_error(name, "too many files in base:", "name each file once");
    const files::path path = folder / read_string(name);
    std::error_code error;
    if (!files::exists(path, error))
      throw yaml_error(name, fmt::format("there is no file '{}'", path.string()),
                       "the name is relative to the file that it stands in");
    YamlNode base = with_bases(read_yaml(path, limits), path.parent_path(), limits, depth + 1);
    if (base.kind != YamlNode::Kind::map)  // merge_over would pass over it in silence
      throw yaml_error(name, fmt::format("'{}' holds no keys", path.string()),
                       "a base is a map of keys and values");
    merged = merged.kind == YamlNode::Kind::null ? std::move(base) : merge_over(merged, base);
  }
  const auto index = std::find(root.keys.begin(), root.keys.end(), "base") - root.keys.begin();
  root.keys.erase(root.keys.begin() + index);
  root.items.erase(root.items.begin() + index);
  return merged.kind == YamlNode::Kind::null ? root : merge_over(merged, root);
}

void write_flow(std::string& out, const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::null: out += "null"; return;
    case YamlNode::Kind::scalar: out += node.quoted ? yaml_string(node.text) : node.text; return;
    case YamlNode::Kind::list:
    case YamlNode::Kind::map: break;
  }
  const bool is_map = node.kind == YamlNode::Kind::map;
  out += is_map ? "{" : "[";
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    if (i) out += ", ";
    if (is_map) out += yaml_string(node.keys[i]) + ": ";
    write_flow(out, node.items[i]);
  }
  out += is_map ? "}" : "]";
}

void write_block(std::string& out, const YamlNode& node, int indent) {
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const YamlNode& item = node.items[i];
    out.append(std::size_t(indent), ' ');
    out += yaml_string(node.keys[i]) + ":";
    if (item.kind == YamlNode::Kind::map && !item.flow && !item.items.empty()) {
      out += "\n";
      write_block(out, item, indent + 2);
      continue;
    }
    out += " ";
    write_flow(out, item);
    out += "\n";
  }
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  for (std::size_t i = 0; i < keys.size(); ++i)
    if (keys[i] == key) return &items[i];
  return nullptr;
}

Error yaml_error(const YamlNode& node, const std::string& wrong, const std::string& right) {
  return located(node.key_where.line ? node.key_where : node.where, node.path, wrong, right);
}

YamlNode parse_yaml(const std::string& text, const std::string& file_name,
                    const YamlLimits& limits) {
  if (text.size() > limits.bytes)
    throw located({file_name, 1, 1}, "", fmt::format("{} bytes", text.size()),
                  fmt::format("at most {} are read", limits.bytes));
  if (text.find('\0') != std::string::npos)
    throw located({file_name, 1, 1}, "", "a zero byte: this is no text", "give a YAML file");
  TreeBuilder builder(file_name, limits);
  std::istringstream stream(text);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    throw Error(
        fmt::format("{}:{}:{}: this is no YAML: {}; look for a missing bracket, quote, colon or "
                    "space before this place",
                    file_name, error.mark.line + 1, error.mark.column + 1, error.msg),
        ExitCode::usage);
  }
  if (builder.root.kind == YamlNode::Kind::null)
    throw located({file_name, 1, 1}, "", "the file is empty", "it must hold keys and values");
  return std::move(builder.root);
}

YamlNode read_yaml(const files::path& path, const YamlLimits& limits) {
  std::error_code error;
  const auto size = files::file_size(path, error);
  if (error)
    throw Error(fmt::format("{}: cannot read this file: {}; give the path of a YAML file",
                            path.string(), error.message()),
                ExitCode::usage);
  if (size > limits.bytes)
    throw located({path.string(), 1, 1}, "", fmt::format("{} bytes", size),
                  fmt::format("at most {} are read", limits.bytes));
  // No more than that size: a file of /proc has 0, and no end.
  return parse_yaml(read_file(path, limits.bytes), path.string(), limits);
}

YamlNode with_bases(YamlNode root, const files::path& folder, const YamlLimits& limits) {
  YamlLimits left = limits;
  return with_bases(std::move(root), folder, left, 0);
}

YamlNode merge_over(const YamlNode& base, const YamlNode& top) {
  if (base.kind != YamlNode::Kind::map || top.kind != YamlNode::Kind::map) return top;
  YamlNode merged = base;
  merged.where = top.where;
  merged.key_where = top.key_where;
  for (std::size_t i = 0; i < top.keys.size(); ++i) {
    const auto same = std::find(merged.keys.begin(), merged.keys.end(), top.keys[i]);
    if (same == merged.keys.end()) {
      merged.keys.push_back(top.keys[i]);
      merged.items.push_back(top.items[i]);
    } else {
      YamlNode& under = merged.items[std::size_t(same - merged.keys.begin())];
      under = merge_over(under, top.items[i]);
    }
  }
  return merged;
}

void set_yaml(YamlNode& root, const std::string& assignment) {
  const std::string source = "--set " + assignment;
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    throw Error(
        source + ": this is no assignment; write key=value, for example training.context=512",
        ExitCode::usage);
  const std::string path = assignment.substr(0, equals);
  YamlNode* node = &root;
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    const std::string key = path.substr(begin, end - begin);
    if (node->kind != YamlNode::Kind::map)
      throw Error(
          fmt::format("{}: '{}' is no map; --set reaches into maps only", source, node->path),
          ExitCode::usage);
    auto found = std::find(node->keys.begin(), node->keys.end(), key);
    if (found == node->keys.end()) {
      YamlNode empty;
      empty.kind = YamlNode::Kind::map;
      empty.where = empty.key_where = {source, 1, 1};
      empty.path = child_path(node->path, key);
      node->keys.push_back(key);
      node->items.push_back(empty);
      found = node->keys.end() - 1;
    }
    node = &node->items[std::size_t(found - node->keys.begin())];
    begin = end + 1;
  }
  // Parsed under its key, so that the paths inside the value are right.
  YamlNode value = parse_yaml("value: " + assignment.substr(equals + 1), source).items.at(0);
  const std::function<void(YamlNode&, const std::string&)> name = [&](YamlNode& at,
                                                                      const std::string& to) {
    at.path = to;
    for (std::size_t i = 0; i < at.items.size(); ++i)
      name(at.items[i], at.kind == YamlNode::Kind::map ? child_path(to, at.keys[i])
                                                       : fmt::format("{}[{}]", to, i));
  };
  name(value, path);
  *node = std::move(value);
}

std::string to_yaml(const YamlNode& node) {
  std::string out;
  if (node.kind == YamlNode::Kind::map && !node.items.empty()) {
    write_block(out, node, 0);
  } else {
    write_flow(out, node);
    out += "\n";
  }
  return out;
}

std::string yaml_string(std::string_view text) {
  static constexpr std::string_view words[] = {"null", "Null", "NULL", "true", "false", "yes",
                                               "no",   "on",   "off",  "True", "False"};
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("_./+-").find(c) != std::string_view::npos;
  };
  const bool is_word =
      !text.empty() && std::all_of(text.begin(), text.end(), plain) &&
      (std::isalnum(static_cast<unsigned char>(text[0])) || text[0] == '/' || text[0] == '_');
  if (is_word && !parse_number(text) &&
      std::find(std::begin(words), std::end(words), text) == std::end(words))
    return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out + "\"";
}

std::string yaml_number(double value) { return fmt::format("{}", value); }

}  // namespace metascale
