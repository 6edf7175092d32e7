// Values of a JSON file that know where they stand, for errors: "file: model.merges[7]: ...".
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace metascale {

// All throw Error{bad_input} where the value is not what is asked for.
class JsonReader {
 public:
  using Json = nlohmann::json;
  // The value at place, which is "" for the whole file.
  JsonReader(const Json& value, const std::string& file, std::string place)
      : value_(&value), file_(&file), place_(std::move(place)) {}

  JsonReader at(const char* key) const;                               // refuses a missing key
  std::int64_t size() const { return std::int64_t(value_->size()); }  // of a list or object
  std::vector<JsonReader> elements() const;
  void each_member(
      const std::function<void(const std::string& key, const JsonReader& value)>& visit) const;
  std::int32_t whole_number(std::int64_t most) const;  // 0..most
  std::string text() const;
  bool flag() const;
  std::pair<std::string, std::string> pair_of_texts() const;  // "a b" or ["a", "b"]

  void only(std::initializer_list<std::string_view> keys) const;  // refuses other keys
  // Refuses other values than these at the key, which may be missing.
  void allow(const char* key, std::initializer_list<Json> values) const;
  // The object at key, or its one element if it is {"type": "Sequence", list: [element]}; nothing
  // for null, an empty sequence and a missing key.
  std::optional<JsonReader> only_step(const char* key, const char* list) const;

  [[noreturn]] void refuse(const std::string& what) const;

 private:
  JsonReader child(const Json& value, const std::string& step) const;
  const Json& object() const;

  const Json* value_;
  const std::string* file_;
  std::string place_;
};

class JsonDocument {
 public:
  JsonDocument(const std::string& text, std::string file);
  JsonReader root() const { return JsonReader(json_, file_, ""); }

 private:
  std::string file_;
  nlohmann::json json_;
};

}  // namespace metascale
