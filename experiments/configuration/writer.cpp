// config.yaml, written.
#include <fmt/format.h>

#include "experiments/configuration/fields.hpp"

namespace metascale {
namespace {

class Writer {
 public:
  explicit Writer(std::string& out, int indent = 0) : out_(out), indent_(indent) {}

  void integer(const char* key, std::int64_t value, std::int64_t = 0, std::int64_t = 0) {
    line(key, fmt::format("{}", value));
  }
  void number(const char* key, double value, double, double) { line(key, yaml_number(value)); }
  void seed(const char* key, std::uint64_t value) { line(key, fmt::format("{}", value)); }
  void flag(const char* key, bool value) { line(key, value ? "true" : "false"); }
  // What came later is left out where it is not set: configurations of before stay as they are.
  void late_flag(const char* key, bool value) {
    if (value) flag(key, value);
  }
  void probe(const char* key, const ProbeSettings& value) {
    if (value.exists()) line(key, to_flow_yaml(value));
  }
  void text(const char* key, const std::string& value) { line(key, yaml_string(value)); }
  void path(const char* key, const std::filesystem::path& value) {
    line(key, yaml_string(value.string()));
  }
  template <typename Enum, std::size_t Count>
  void choice(const char* key, Enum value, const Named<Enum> (&table)[Count]) {
    line(key, name_in(table, value));
  }
  template <typename Enum, std::size_t Count>
  void late_choice(const char* key, Enum value, const Named<Enum> (&table)[Count], Enum usual) {
    if (value != usual) choice(key, value, table);
  }
  template <std::size_t Count>
  void word(const char* key, const std::string& value, const Named<Word> (&)[Count]) {
    text(key, value);
  }
  template <std::size_t Count>
  void late_word(const char* key, const std::string& value, const Named<Word> (&)[Count],
                 const char* usual) {
    if (value != usual) text(key, value);
  }
  void integers(const char* key, const std::vector<std::int64_t>& value, std::int64_t) {
    line(key, fmt::format("[{}]", fmt::join(value, ", ")));
  }
  void late_texts(const char* key, const std::vector<std::string>& value) {
    std::string list;
    for (const std::string& text : value) list += (list.empty() ? "" : ", ") + yaml_string(text);
    if (!value.empty()) line(key, "[" + list + "]");
  }
  void mixture(const char* key, const std::string& value) { text(key, value); }
  void words(const char* key, const std::map<std::string, std::string>& value) {
    line(key, value.empty() ? "{}" : "");
    Writer inner(out_, indent_ + 2);
    for (const auto& [name, word] : value) inner.text(yaml_string(name).c_str(), word);
  }
  template <typename Item, typename Body>
  void list(const char* key, const std::vector<Item>& value, Body&& body) {
    line(key, value.empty() ? "[]" : "");
    for (const Item& item : value) {
      Writer inner(out_, indent_ + 4);
      inner.starts_item_ = true;
      body(inner, item);
    }
  }
  template <typename Body>
  void group(const char* key, Body&& body) {
    line(key, "");
    Writer inner(out_, indent_ + 2);
    body(inner);
  }

 private:
  void line(const char* key, const std::string& value) {
    const std::size_t blanks = std::size_t(indent_) - (starts_item_ ? 2 : 0);
    out_.append(blanks, ' ').append(starts_item_ ? "- " : "").append(key);
    out_.append(value.empty() ? ":" : ": ").append(value).append("\n");
    starts_item_ = false;
  }
  std::string& out_;
  int indent_;
  bool starts_item_ = false;  // of a list
};

}  // namespace

std::string to_yaml(const RunConfig& config) {
  std::string out;
  Writer writer(out);
  fields(writer, config);
  return out;
}

}  // namespace metascale
