#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/json_text.hpp"
#include "data/tokenizer.hpp"
#include "experiments/checkpoint.hpp"
#include "experiments/exchange/describe.hpp"
#include "experiments/exchange/foreign_files.hpp"
#include "experiments/exchange/names.hpp"
#include "experiments/models/model.hpp"
#include "experiments/plan.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using exchange::Description;
using exchange::ForeignFiles;
using nlohmann::json;

constexpr std::size_t most_config_bytes = std::size_t(1) << 20;
constexpr std::int64_t standard_context = 2048;  // where a model does not say

// RWKV-LM keeps no configuration: the tensors' shapes tell it.
ModelConfig model_of_shapes(const ForeignFiles& files) {
  const auto extent = [&](const std::string& name, std::size_t axis) {
    const auto& entry = files.at(name);
    if (axis >= entry.shape.size() || entry.shape[axis] < 1)
      throw Error(fmt::format("{}: tensor '{}' has shape ({}), which is none of an RWKV-7 model",
                              files.source().string(), name, fmt::join(entry.shape, ", ")),
                  ExitCode::bad_input);
    return entry.shape[axis];
  };
  ModelConfig model{.architecture = Architecture::rwkv7};
  model.vocabulary = extent("emb.weight", 0);
  model.width = extent("emb.weight", 1);
  model.heads = extent("blocks.0.att.r_k", 0);
  model.head_size = extent("blocks.0.att.r_k", 1);
  model.feed_forward = extent("blocks.0.ffn.key.weight", 0);
  model.rank_decay = extent("blocks.0.att.w1", 1);
  model.rank_rate = extent("blocks.0.att.a1", 1);
  model.rank_gate = extent("blocks.0.att.g1", 1);
  while (files.find(fmt::format("blocks.{}.att.r_k", model.layers))) ++model.layers;
  model.rank_value = model.layers > 1 ? extent("blocks.1.att.v1", 1) : model.rank_rate;
  return model;
}

// Of a folder, or beside a file.
fs::path config_of(const fs::path& source) {
  return (fs::is_directory(source) ? source : source.parent_path()) / "config.json";
}

Description description_of(const fs::path& source, const ForeignFiles& files,
                           const ImportOptions& options) {
  Description found{.format = options.format.value_or(ExchangeFormat::rwkv)};
  const fs::path path = config_of(source);
  if (fs::exists(path)) {
    const json object = parse_json(read_file(path, most_config_bytes));
    if (!object.is_object())
      throw Error(fmt::format("{}: no JSON object; download or make it anew", path.string()),
                  ExitCode::bad_input);
    found = exchange::read_description(object, path);
  } else if (found.format != ExchangeFormat::rwkv || !files.find("blocks.0.att.r_k")) {
    throw Error(fmt::format("{}: only RWKV-LM's tensors say by themselves which model they are; "
                            "give the folder: config.json is needed",
                            source.string()),
                ExitCode::usage);
  }
  if (options.format && *options.format != found.format)
    throw Error(fmt::format("--format: {} is asked for, but {} is in {}", name_of(*options.format),
                            source.string(), name_of(found.format)),
                ExitCode::usage);
  if (found.format == ExchangeFormat::rwkv) found.model = model_of_shapes(files);
  return found;
}

// Rows of the key-value heads, each repeated for the query heads that share it: the same function.
std::vector<double> with_repeated_heads(const std::vector<double>& values, const ModelConfig& model,
                                        std::int64_t key_value_heads) {
  const std::size_t block = std::size_t(model.head_size * model.width);
  const std::int64_t heads = head_count(model);
  std::vector<double> repeated;
  repeated.reserve(std::size_t(heads) * block);
  for (std::int64_t head = 0; head < heads; ++head) {
    const auto begin =
        values.begin() + std::ptrdiff_t(std::size_t(head * key_value_heads / heads) * block);
    repeated.insert(repeated.end(), begin, begin + std::ptrdiff_t(block));
  }
  return repeated;
}

// One of our parameters, looked up in the foreign files.
class Importer {
 public:
  Importer(const ForeignFiles& files, const Description& description)
      : files_(files), description_(description) {}

  // The foreign tensor that stands for ours. Throws where it is missing or has another shape.
  exchange::ForeignTensor source_of(const ParameterSpec& ours) const {
    auto foreign = exchange::foreign_tensor(description_.format, ours);
    if (shares_heads(ours.name))
      foreign.shape[0] =
          foreign.shape[0] / head_count(description_.model) * description_.key_value_heads;
    if (description_.tied && ours.embedding && !files_.find(foreign.name))
      foreign.name = embedding();
    const auto& entry = files_.at(foreign.name);
    if (without_ones(entry.shape) != without_ones(foreign.shape))
      throw Error(fmt::format("{}: tensor '{}' has shape ({}), but by its configuration the model "
                              "has ({})",
                              files_.source().string(), foreign.name, fmt::join(entry.shape, ", "),
                              fmt::join(foreign.shape, ", ")),
                  ExitCode::bad_input);
    return foreign;
  }

  std::vector<double> values_of(const ParameterSpec& ours) const {
    const auto foreign = source_of(ours);
    std::vector<double> values = files_.values(foreign.name);
    if (shares_heads(ours.name))
      values = with_repeated_heads(values, description_.model, description_.key_value_heads);
    if (!foreign.transposed) return values;
    std::vector<double> turned(values.size());
    const std::int64_t rows = ours.shape[0], columns = ours.shape[1];
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t column = 0; column < columns; ++column)
        turned[std::size_t(row * columns + column)] = values[std::size_t(column * rows + row)];
    return turned;
  }

  // A tensor that no parameter of ours is would change what the model computes.
  void expect_nothing_else(const ParameterList& list) const {
    std::vector<std::string> known;
    for (const auto& entry : list.entries()) known.push_back(source_of(entry.spec).name);
    std::sort(known.begin(), known.end());
    for (const std::string& name : files_.names())
      if (!std::binary_search(known.begin(), known.end(), name) &&
          !exchange::is_unused(description_.format, name) && !is_tied_head(name))
        throw Error(
            fmt::format("{}: tensor '{}' has no place in a {}; it is another model",
                        files_.source().string(), name, name_of(description_.model.architecture)),
            ExitCode::bad_input);
  }

 private:
  static std::vector<std::int64_t> without_ones(std::vector<std::int64_t> shape) {
    std::erase(shape, 1);
    return shape;
  }
  bool shares_heads(const std::string& ours) const {
    return description_.key_value_heads > 0 &&
           (ours.ends_with("self_attn.k_proj.weight") || ours.ends_with("self_attn.v_proj.weight"));
  }
  std::string embedding() const {
    return description_.format == ExchangeFormat::gpt_neox ? "gpt_neox.embed_in.weight"
           : description_.format == ExchangeFormat::fla    ? "model.embeddings.weight"
                                                           : "model.embed_tokens.weight";
  }
  bool is_tied_head(const std::string& name) const {
    return description_.tied && (name == "lm_head.weight" || name == "embed_out.weight");
  }

  const ForeignFiles& files_;
  const Description& description_;
};

// What the reader of runs finds wrong with it is the foreign model's fault, whatever the run is
// called.
void expect_our_model(RunConfig run, const fs::path& config) {
  run.id = "imported";
  try {
    parse_run_config(to_yaml(run), "as a run");
  } catch (const Error& error) {
    throw Error(fmt::format("{}: is no model that we compute: {}", config.string(), error.what()),
                ExitCode::bad_input);
  }
}

// A tokenizer.json of a kind that we cannot tokenise with may lie beside a model, which is then
// shown, grown and exported; one that is asked for must serve.
void expect_known_ids(const RunConfig& run, bool is_asked_for) {
  if (!is_asked_for && is_built_in_tokenizer(run.data.tokenizer)) return;
  std::unique_ptr<Tokenizer> tokenizer;
  try {
    tokenizer = make_tokenizer(run.data.tokenizer);
  } catch (const Error&) {
    if (is_asked_for) throw;
    return;
  }
  if (tokenizer->vocabulary() > run.model.vocabulary)
    throw Error(
        fmt::format("{}: the tokenizer has {} ids, but the model knows {}; give the model's own "
                    "with --tokenizer",
                    run.data.tokenizer, tokenizer->vocabulary(), run.model.vocabulary),
        ExitCode::bad_input);
}

// A run that was not trained here: its checkpoint at step 0 is what came in.
RunConfig run_of(const Description& description, const fs::path& source, const fs::path& run_folder,
                 const ImportOptions& options) {
  RunConfig run;
  run.id = options.id.empty() ? run_id_of(run_folder) : options.id;
  run.sweep = "imported";
  run.arm = name_of(description.model.architecture);
  run.size = "imported";
  run.length = "imported";
  run.model = description.model;
  run.training.steps = 1;
  run.training.context = description.context ? description.context : standard_context;
  run.training.batch_tokens = run.training.context;
  run.training.micro_batch = 1;
  run.training.optimizer.learning_rate = 1e-4;  // of a training that goes on from here
  run.training.optimizer.final_learning_rate = 1e-5;
  run.data.name = "imported";
  run.data.tokenizer = options.tokenizer;
  const fs::path beside = config_of(source).parent_path() / "tokenizer.json";
  if (run.data.tokenizer.empty())
    run.data.tokenizer = fs::exists(beside) ? fs::absolute(beside).string() : "bytes";
  expect_our_model(run, fs::exists(config_of(source)) ? config_of(source) : source);
  expect_known_ids(run, !options.tokenizer.empty());
  return parse_run_config(to_yaml(run), run_folder.string());  // its checks
}

}  // namespace

void import_model(const fs::path& source, const fs::path& run_folder,
                  const ImportOptions& options) {
  expect_free_run_folder(run_folder);
  const ForeignFiles files(source);
  const Description description = description_of(source, files, options);
  const RunConfig run = run_of(description, source, run_folder, options);
  const ParameterList list = parameters_of(run.model);
  const Importer importer(files, description);
  importer.expect_nothing_else(list);  // and every shape, before memory is taken
  ParameterMemory memory(list, Device::cpu, Dtype::f32);
  for (const auto& entry : list.entries()) {
    const std::vector<double> values = importer.values_of(entry.spec);
    float* target = memory.tensor(memory.values, entry).pointer<float>();
    std::transform(values.begin(), values.end(), target, [](double value) { return float(value); });
    if (const float* wrong = std::find_if_not(target, target + values.size(),
                                              [](float value) { return std::isfinite(value); });
        wrong != target + values.size())
      throw Error(fmt::format("{}: tensor '{}' holds {}, which is beyond the numbers of f32, in "
                              "which our models compute",
                              source.string(), importer.source_of(entry.spec).name,
                              values[std::size_t(wrong - target)]),
                  ExitCode::bad_input);
  }
  std::error_code error;
  fs::create_directories(run_folder, error);
  if (error)
    throw Error(fmt::format("{}: cannot be created: {}", run_folder.string(), error.message()),
                ExitCode::io);
  Checkpoints(run_folder, run.model).save({}, list, memory, run.log);
  write_file_atomically(run_folder / "config.yaml", to_yaml(run));  // last: now it is whole
}

}  // namespace metascale
