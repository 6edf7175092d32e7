#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "core/atomic_file.hpp"
#include "core/json_text.hpp"
#include "core/safetensors.hpp"
#include "data/tokenizer.hpp"
#include "experiments/exchange/describe.hpp"
#include "experiments/exchange/names.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct FormatRow {
  ExchangeFormat format;
  const char* name;
  Architecture architecture;
};
// The first row of an architecture is its standard.
constexpr FormatRow format_rows[] = {
    {ExchangeFormat::gpt_neox, "gpt_neox", Architecture::transformer},
    {ExchangeFormat::llama, "llama", Architecture::transformer_pp},
    {ExchangeFormat::rwkv, "rwkv", Architecture::rwkv7},
    {ExchangeFormat::fla, "fla", Architecture::rwkv7},
    {ExchangeFormat::meta_state, "meta_state", Architecture::meta_state}};

const FormatRow& row_of(ExchangeFormat format) {
  for (const FormatRow& row : format_rows)
    if (row.format == format) return row;
  throw Error("an exchange format has no row in experiments/exchange/export.cpp");
}

std::vector<float> transposed(const float* matrix, const Shape& shape) {
  std::vector<float> result(std::size_t(shape.size()));
  for (std::int64_t row = 0; row < shape[0]; ++row)
    for (std::int64_t column = 0; column < shape[1]; ++column)
      result[std::size_t(column * shape[0] + row)] = matrix[row * shape[1] + column];
  return result;
}

void write_tensors(const LoadedModel& loaded, ExchangeFormat format, const fs::path& path) {
  std::vector<StoredTensor> tensors;
  std::vector<std::vector<float>> turned;  // keeps the data of transposed matrices
  for (const auto& entry : loaded.list.entries()) {
    const auto foreign = exchange::foreign_tensor(format, entry.spec);
    const float* data = loaded.memory.tensor(loaded.memory.values, entry).pointer<float>();
    if (foreign.transposed) data = turned.emplace_back(transposed(data, entry.spec.shape)).data();
    tensors.push_back({.name = foreign.name, .shape = foreign.shape, .data = data});
  }
  write_safetensors(path, std::move(tensors), {{"format", "pt"}});  // as Hugging Face asks for
}

// Where the model comes from, and which ids its tokens are.
json origin_of(const StoredModel& stored) {
  json ancestors = json::array();
  for (const Ancestor& ancestor : stored.run.lineage)
    ancestors.push_back({{"run", ancestor.run}, {"step", ancestor.step}});
  const std::string tokenizer = fs::path(stored.run.data.tokenizer).filename().string();
  return {{"run", stored.run.id},    {"step", stored.step},
          {"tokens", stored.tokens}, {"lineage", ancestors},
          {"tokenizer", tokenizer},  {"data_fingerprint", stored.data_fingerprint}};
}

// The file that the run's configuration names; empty: there is none. Only a tokenizer leaves: a
// configuration that came from elsewhere could name any file of ours. It need not be of a kind that
// we could tokenise with, as an imported model's may not.
std::string tokenizer_text(const std::string& tokenizer) {
  std::error_code error;
  if (is_built_in_tokenizer(tokenizer) || !fs::exists(tokenizer, error)) return "";
  std::string text = read_file(tokenizer);
  const json document = parse_json(text);
  if (!document.is_object() || !document.contains("model") || !document["model"].is_object() ||
      !document["model"].contains("vocab"))
    throw Error(
        fmt::format("{}: no tokenizer.json, it has no model with a vocab, and is not copied; "
                    "mend data.tokenizer in the run's config.yaml",
                    tokenizer),
        ExitCode::bad_input);
  return text;
}

// The id that texts begin behind and end with; nothing where we cannot tokenise with its file, or
// the model is smaller than its tokenizer.
std::optional<std::int32_t> end_of_text(const RunConfig& run) {
  try {
    const std::int32_t id = make_tokenizer(run.data.tokenizer)->end_of_document();
    return id < run.model.vocabulary ? std::optional(id) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

const char* name_of(ExchangeFormat format) { return row_of(format).name; }

ExchangeFormat parse_exchange_format(const std::string& name) {
  std::string names;
  for (const FormatRow& row : format_rows) {
    if (name == row.name) return row.format;
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  throw Error(fmt::format("there is no format '{}'; write one of {}", name, names),
              ExitCode::usage);
}

ExchangeFormat standard_format(Architecture architecture) {
  for (const FormatRow& row : format_rows)
    if (row.architecture == architecture) return row.format;
  throw Error("an architecture has no row in experiments/exchange/export.cpp");
}

void export_model(const StoredModel& stored, ExchangeFormat format, const fs::path& folder) {
  expect_free_run_folder(folder);  // an older model's tokenizer.json would be taken for this one's
  if (stored.run.model.doubled_rate)
    throw Error(
        fmt::format(
            "{}: arms.{}.doubled_rate is no part of RWKV-7 as other tools know it; export a "
            "run without it",
            stored.run.id, stored.run.arm),
        ExitCode::usage);
  const ModelConfig& model = stored.run.model;
  if (row_of(format).architecture != model.architecture)
    throw Error(
        fmt::format("--format: {} has no place for a {}; write {}", name_of(format),
                    name_of(model.architecture), name_of(standard_format(model.architecture))),
        ExitCode::usage);
  json words = exchange::describe(model, format, stored.run.training.context);
  words["metascale"] = origin_of(stored);
  const std::string tokenizer = tokenizer_text(stored.run.data.tokenizer);
  if (const auto id = end_of_text(stored.run); id && format != ExchangeFormat::rwkv)
    words["bos_token_id"] = words["eos_token_id"] = *id;
  const LoadedModel loaded = load_model(stored, Dtype::f32);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    throw Error(fmt::format("{}: cannot be created: {}", folder.string(), error.message()),
                ExitCode::io);
  write_tensors(loaded, format, folder / "model.safetensors");
  if (!tokenizer.empty()) write_file_atomically(folder / "tokenizer.json", tokenizer);
  write_file_atomically(folder / "config.json", words.dump(2) + "\n");  // last: now it is whole
}

}  // namespace metascale
