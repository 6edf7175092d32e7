#include "data/bpe/json_reader.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/json_text.hpp"

namespace metascale {
namespace {

using Json = JsonReader::Json;

// Values in errors are short.
std::string shown(const Json& value) {
  if (value.is_structured() && value.size() > 3) return value.is_array() ? "[...]" : "{...}";
  const std::string all = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return all.size() <= 60 ? all : all.substr(0, 57) + "...";
}

}  // namespace

JsonReader JsonReader::child(const Json& value, const std::string& step) const {
  const bool is_index = step.starts_with('[');
  return JsonReader(value, *file_,
                    place_.empty() || is_index ? place_ + step : place_ + "." + step);
}

void JsonReader::refuse(const std::string& what) const {
  throw Error(concat(*file_, ": ", place_, place_.empty() ? "" : ": ", what), ExitCode::bad_input);
}

const Json& JsonReader::object() const {
  if (!value_->is_object()) refuse(concat("is ", shown(*value_), ", not an object"));
  return *value_;
}

JsonReader JsonReader::at(const char* key) const {
  const auto found = object().find(key);
  if (found == value_->end()) refuse(concat("has no key '", key, "'"));
  return child(*found, key);
}

std::vector<JsonReader> JsonReader::elements() const {
  if (!value_->is_array()) refuse(concat("is ", shown(*value_), ", not a list"));
  std::vector<JsonReader> all;
  all.reserve(value_->size());
  for (const Json& element : *value_) all.push_back(child(element, concat("[", all.size(), "]")));
  return all;
}

void JsonReader::each_member(
    const std::function<void(const std::string&, const JsonReader&)>& visit) const {
  for (const auto& [key, value] : object().items())
    visit(key, child(value, concat("['", key, "']")));
}

std::int32_t JsonReader::whole_number(std::int64_t most) const {
  const bool is_whole =
      value_->is_number_unsigned() && value_->get<std::uint64_t>() <= std::uint64_t(most);
  if (!is_whole) refuse(concat("is ", shown(*value_), ", not a whole number from 0 to ", most));
  return value_->get<std::int32_t>();
}

std::string JsonReader::text() const {
  if (!value_->is_string()) refuse(concat("is ", shown(*value_), ", not a text"));
  return value_->get<std::string>();
}

bool JsonReader::flag() const {
  if (!value_->is_boolean()) refuse(concat("is ", shown(*value_), ", not true or false"));
  return value_->get<bool>();
}

std::pair<std::string, std::string> JsonReader::pair_of_texts() const {
  if (value_->is_array() && value_->size() == 2 && (*value_)[0].is_string() &&
      (*value_)[1].is_string())
    return {(*value_)[0].get<std::string>(), (*value_)[1].get<std::string>()};
  if (value_->is_string()) {
    const std::string both = value_->get<std::string>();
    const std::size_t space = both.find(' ');
    if (space != std::string::npos && both.find(' ', space + 1) == std::string::npos)
      return {both.substr(0, space), both.substr(space + 1)};
  }
  refuse(concat("is ", shown(*value_), ", not two texts with a space between them"));
}

void JsonReader::only(std::initializer_list<std::string_view> keys) const {
  for (const auto& [key, value] : object().items())
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      refuse(concat("'", key, "' is a feature that this program does not know"));
}

void JsonReader::allow(const char* key, std::initializer_list<Json> values) const {
  const auto found = object().find(key);
  if (found == value_->end() || std::find(values.begin(), values.end(), *found) != values.end())
    return;
  std::string known;
  for (const Json& value : values) known += (known.empty() ? "" : " or ") + value.dump();
  child(*found, key).refuse(concat("is ", shown(*found), "; this program knows only ", known));
}

std::optional<JsonReader> JsonReader::only_step(const char* key, const char* list) const {
  const auto found = object().find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  const JsonReader step = child(*found, key);
  if (step.at("type").text() != "Sequence") return step;
  const std::vector<JsonReader> steps = step.at(list).elements();
  if (steps.size() > 1)
    step.refuse(concat("is a Sequence of ", steps.size(), "; this program knows only one step"));
  if (steps.empty()) return std::nullopt;
  return steps.front();
}

JsonDocument::JsonDocument(const std::string& text, std::string file)
    : file_(std::move(file)), json_(parse_json(text)) {
  if (json_.is_discarded())
    throw Error(concat(file_, ": is not JSON, not all of it, or nested too deep; fetch it again"),
                ExitCode::bad_input);
}

}  // namespace metascale
