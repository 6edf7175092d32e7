#include "analysis/published.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "analysis/html/assets.hpp"
#include "core/error.hpp"
#include "core/yaml.hpp"

namespace metascale {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

const YamlNode& needed(const YamlNode& entry, const char* key) {
  const YamlNode* found = entry.find(key);
  if (found != nullptr && found->kind == YamlNode::Kind::scalar) return *found;
  throw Error(concat(entry.where.file, ":", entry.where.line, ": ", entry.path, ": lacks ", key),
              ExitCode::usage);
}

double number(const YamlNode& node) {
  double value = 0;
  const char* end = node.text.data() + node.text.size();
  const auto [stop, problem] = std::from_chars(node.text.data(), end, value);
  if (problem == std::errc() && stop == end && value > 0) return value;
  throw Error(concat(node.where.file, ":", node.where.line, ": ", node.path, ": '", node.text,
                     "' is not a positive number"),
              ExitCode::usage);
}

double loss_of(const YamlNode& entry) {
  const double value = number(needed(entry, "value"));
  const YamlNode& unit = needed(entry, "unit");
  if (unit.text == "nats_per_token") return value;
  if (unit.text == "perplexity") return std::log(value);
  if (unit.text == "bits_per_byte") return unknown;  // another quantity, never drawn beside nats
  throw Error(concat(unit.where.file, ":", unit.where.line, ": ", unit.path, ": '", unit.text,
                     "' is no unit; give nats_per_token, perplexity or bits_per_byte"),
              ExitCode::usage);
}

PublishedResult result_of(const YamlNode& entry) {
  const YamlNode* non_embedding = entry.find("non_embedding_parameters");
  const YamlNode* unsafe = entry.find("unsafe");
  return {needed(entry, "model").text,
          number(needed(entry, "parameters")),
          non_embedding == nullptr ? unknown : number(*non_embedding),
          loss_of(entry),
          needed(entry, "tokenizer").text,
          needed(entry, "data").text,
          needed(entry, "split").text,
          needed(entry, "protocol").text,
          needed(entry, "source").text,
          unsafe == nullptr ? "" : unsafe->text};
}

// The tokenizer's name stands in the configuration, there with its folder; the fact may be its
// digest.
bool has_tokenizer(const Run& run, const std::string& name) {
  if (run.fact("tokenizer").value_or("").find(name) != std::string::npos) return true;
  const std::string& text = run.log.configuration;
  const std::string key = "tokenizer: ";
  const std::size_t at = text.find(key);
  if (at == std::string::npos) return false;
  const std::string value = text.substr(at + key.size(), text.find('\n', at) - at - key.size());
  return value.substr(value.rfind('/') + 1).starts_with(name);
}

bool same_quantity(const PublishedResult& result, const Run& run) {
  const Evaluation* evaluation = run.final_evaluation();
  return evaluation != nullptr && evaluation->split == result.split &&
         (evaluation->protocol == result.protocol || result.protocol == "unstated") &&
         evaluation->coverage == "all" && run.fact("data_name").value_or("") == result.data &&
         has_tokenizer(run, result.tokenizer);
}

}  // namespace

std::vector<PublishedResult> parse_published(const std::string& text,
                                             const std::string& file_name) {
  const YamlNode root = parse_yaml(text, file_name);
  const YamlNode* list = root.find("results");
  if (list == nullptr || list->kind != YamlNode::Kind::list)
    throw Error(concat(file_name, ": lacks the list results"), ExitCode::usage);
  std::vector<PublishedResult> results;
  for (const YamlNode& entry : list->items) results.push_back(result_of(entry));
  return results;
}

std::vector<PublishedResult> published_results() {
  return parse_published(std::string(published_yaml), "analysis/published.yaml");
}

std::vector<PublishedResult> comparable_results(const Report& report,
                                                std::vector<PublishedResult> results) {
  std::erase_if(results, [&](const PublishedResult& result) {
    return !result.unsafe.empty() || !std::isfinite(result.loss) ||
           std::none_of(report.cells.begin(), report.cells.end(), [&](const Cell& cell) {
             return same_quantity(result, *cell.runs.front());
           });
  });
  return results;
}

}  // namespace metascale
