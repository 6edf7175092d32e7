#include "experiments/exchange/describe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/round_up.hpp"
#include "experiments/config_tables.hpp"
#include "experiments/plan.hpp"

namespace metascale::exchange {
namespace {

using nlohmann::json;

constexpr double norm_epsilon = 1e-5, rotary_base = 10000;

void expect_square(const ModelConfig& model, ExchangeFormat format) {
  const std::int64_t channels = head_count(model) * model.head_size;
  if (format == ExchangeFormat::meta_state || channels == model.width) return;
  throw Error(
      fmt::format("its heads were grown: {} of {} channels are not the width {}, and {} has no "
                  "place for that; only a model whose heads fill its width has such a form",
                  head_count(model), model.head_size, model.width, name_of(format)),
      ExitCode::usage);
}

json describe_gpt_neox(const ModelConfig& model) {
  return {{"architectures", {"GPTNeoXForCausalLM"}},
          {"model_type", "gpt_neox"},
          {"hidden_size", model.width},
          {"num_hidden_layers", model.layers},
          {"num_attention_heads", head_count(model)},
          {"intermediate_size", model.feed_forward},
          {"hidden_act", model.gelu_tanh ? "gelu_new" : "gelu"},
          {"rotary_pct", model.rotary_fraction},
          {"rotary_emb_base", rotary_base},
          {"layer_norm_eps", norm_epsilon},
          {"use_parallel_residual", model.parallel_residual},
          {"attention_bias", true}};
}

json describe_llama(const ModelConfig& model) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"hidden_size", model.width},
          {"num_hidden_layers", model.layers},
          {"num_attention_heads", head_count(model)},
          {"num_key_value_heads", head_count(model)},
          {"head_dim", model.head_size},
          {"intermediate_size", model.feed_forward},
          {"hidden_act", "silu"},
          {"rms_norm_eps", norm_epsilon},
          {"rope_theta", rotary_base},
          {"attention_bias", false},
          {"mlp_bias", false}};
}

json describe_fla(const ModelConfig& model) {
  const LowRanks ranks = low_ranks(model);
  return {{"architectures", {"RWKV7ForCausalLM"}},
          {"model_type", "rwkv7"},
          {"hidden_size", model.width},
          {"num_hidden_layers", model.layers},
          {"head_dim", model.head_size},
          {"num_heads", head_count(model)},
          {"intermediate_size", model.feed_forward},
          {"hidden_ratio", double(model.feed_forward) / double(model.width)},
          {"value_dim", std::vector<std::int64_t>(std::size_t(model.layers), model.width)},
          {"decay_low_rank_dim", ranks.decay},
          {"a_low_rank_dim", ranks.rate},
          {"v_low_rank_dim", ranks.value},
          {"gate_low_rank_dim", ranks.gate},
          {"hidden_act", "sqrelu"},
          {"norm_eps", norm_epsilon},
          {"norm_first", true},
          {"norm_bias", true}};
}

// Recurrent models in our own words: rwkv (for people; its tensors tell all) and meta_state.
json describe_recurrent(const ModelConfig& model) {
  const LowRanks ranks = low_ranks(model);
  json words{{"model_type", model.architecture == Architecture::rwkv7 ? "rwkv_lm" : "meta_state"},
             {"layers", model.layers},
             {"width", model.width},
             {"head_size", model.head_size},
             {"heads", head_count(model)},
             {"feed_forward", model.feed_forward},
             {"rank_decay", ranks.decay},
             {"rank_rate", ranks.rate},
             {"rank_value", ranks.value},
             {"rank_gate", ranks.gate}};
  if (model.architecture == Architecture::rwkv7) return words;
  words["layout"] = 1;
  words["read_out"] = name_of(model.read_out);
  words["read_state"] = name_of(model.read_state);
  words["rho"] = model.rho;
  words["read_heads"] = read_head_count(model);
  return words;
}

// The keys of one config.json, with errors that name file and key.
class Keys {
 public:
  Keys(const json& object, std::filesystem::path path) : object_(object), path_(std::move(path)) {}

  [[noreturn]] void refuse(const std::string& key, const std::string& wrong,
                           const std::string& right) const {
    throw Error(fmt::format("{}: {}: {}; {}", path_.string(), key, wrong, right),
                ExitCode::bad_input);
  }
  bool has(const char* key) const { return object_.contains(key) && !object_[key].is_null(); }
  std::int64_t integer(const char* key, std::int64_t least, std::int64_t most) const {
    const json& value = has(key) ? object_[key] : json();
    if (!value.is_number_integer() || value < least || value > most)
      refuse(key, value.is_null() ? "missing" : "'" + value.dump() + "'",
             fmt::format("a whole number from {} to {} is needed", least, most));
    return value.get<std::int64_t>();
  }
  std::int64_t extent(const char* key) const { return integer(key, 1, 1 << 26); }
  std::string text(const char* key, const std::string& standard) const {
    if (!has(key)) return standard;
    if (!object_[key].is_string()) refuse(key, object_[key].dump(), "a word is needed");
    return object_[key].get<std::string>();
  }
  double number(const char* key, double standard) const {
    if (!has(key)) return standard;
    if (!object_[key].is_number()) refuse(key, object_[key].dump(), "a number is needed");
    return object_[key].get<double>();
  }
  bool flag(const char* key, bool standard) const {
    if (!has(key)) return standard;
    if (!object_[key].is_boolean()) refuse(key, object_[key].dump(), "true or false is needed");
    return object_[key].get<bool>();
  }
  template <typename T>
  void expect(const char* key, const T& found, const T& wanted) const {
    if (found != wanted)
      refuse(key, fmt::format("{}", found), fmt::format("our models compute with {} only", wanted));
  }
  template <typename Enum, std::size_t Count>
  Enum choice(const char* key, const Named<Enum> (&table)[Count]) const {
    const std::string word = text(key, "");
    std::string names;
    for (const auto& row : table) {
      if (word == row.name) return row.value;
      names += (names.empty() ? "" : ", ") + std::string(row.name);
    }
    refuse(key, "'" + word + "'", "one of " + names + " is needed");
  }
  // Of the rotation: newer files keep it in a map of its own, which counts before the keys around
  // it [transformers, modeling_rope_utils.py]. Without one: empty.
  Keys rotation() const {
    static const json none = json::object();
    if (!has("rope_parameters")) return Keys(none, path_);
    if (!object_["rope_parameters"].is_object())
      refuse("rope_parameters", object_["rope_parameters"].dump(), "a map is needed");
    return Keys(object_["rope_parameters"], path_);
  }

 private:
  const json& object_;
  std::filesystem::path path_;
};

void read_rotation(const Keys& keys, const char* base_key) {
  const Keys rotation = keys.rotation();
  keys.expect(rotation.has("rope_theta") ? "rope_theta" : base_key,
              rotation.number("rope_theta", keys.number(base_key, rotary_base)), rotary_base);
  const std::string outer = keys.text("rope_type", "default");
  keys.expect("rope_type", rotation.text("rope_type", rotation.text("type", outer)),
              std::string("default"));
  if (keys.has("rope_scaling"))
    keys.refuse("rope_scaling", "positions are scaled", "our models compute with none");
}

void read_heads(const Keys& keys, ModelConfig& model) {
  model.width = keys.integer("hidden_size", 1, 1 << 20);
  model.layers = keys.integer("num_hidden_layers", 1, 1000);
  const std::int64_t heads = keys.integer("num_attention_heads", 1, 1 << 20);
  if (model.width % heads)
    keys.refuse("num_attention_heads", fmt::format("{}", heads),
                fmt::format("a divisor of hidden_size {} is needed", model.width));
  model.head_size = model.width / heads;
  model.feed_forward = keys.extent("intermediate_size");
}

ModelConfig read_gpt_neox(const Keys& keys, Description&) {
  ModelConfig model{.architecture = Architecture::transformer};
  read_heads(keys, model);
  read_rotation(keys, "rotary_emb_base");
  const Keys rotation = keys.rotation();
  const bool is_outer = keys.has("rotary_pct") && !rotation.has("partial_rotary_factor");
  model.rotary_fraction =
      rotation.number("partial_rotary_factor",
                      keys.number("rotary_pct", keys.number("partial_rotary_factor", 0.25)));
  if (!(model.rotary_fraction >= 0 && model.rotary_fraction <= 1))
    keys.refuse(is_outer ? "rotary_pct" : "partial_rotary_factor",
                fmt::format("{}", model.rotary_fraction), "a number from 0 to 1 is needed");
  model.parallel_residual = keys.flag("use_parallel_residual", true);
  keys.expect("layer_norm_eps", keys.number("layer_norm_eps", norm_epsilon), norm_epsilon);
  keys.expect("attention_bias", keys.flag("attention_bias", true), true);
  const std::string kind = keys.text("hidden_act", "gelu");
  model.gelu_tanh = kind == "gelu_new" || kind == "gelu_fast" || kind == "gelu_pytorch_tanh";
  if (!model.gelu_tanh && kind != "gelu")
    keys.refuse("hidden_act", kind, "gelu or gelu_new is needed");
  return model;
}

ModelConfig read_llama(const Keys& keys, Description& found) {
  ModelConfig model{.architecture = Architecture::transformer_pp};
  read_heads(keys, model);
  read_rotation(keys, "rope_theta");
  keys.expect(
      "partial_rotary_factor",
      keys.rotation().number("partial_rotary_factor", keys.number("partial_rotary_factor", 1)),
      1.0);
  keys.expect("head_dim", keys.has("head_dim") ? keys.extent("head_dim") : model.head_size,
              model.head_size);
  keys.expect("rms_norm_eps", keys.number("rms_norm_eps", 1e-6), norm_epsilon);
  keys.expect("hidden_act", keys.text("hidden_act", "silu"), std::string("silu"));
  keys.expect("attention_bias", keys.flag("attention_bias", false), false);
  keys.expect("mlp_bias", keys.flag("mlp_bias", false), false);
  const std::int64_t heads = head_count(model);
  found.key_value_heads =
      keys.has("num_key_value_heads") ? keys.extent("num_key_value_heads") : heads;
  if (heads % found.key_value_heads)
    keys.refuse("num_key_value_heads", fmt::format("{}", found.key_value_heads),
                fmt::format("a divisor of {} heads is needed", heads));
  return model;
}

// intermediate_size, or what RWKV7FeedForward makes of hidden_ratio: rounded up to a multiple
// of 32.
std::int64_t fla_feed_forward(const Keys& keys, std::int64_t width) {
  if (keys.has("intermediate_size")) return keys.extent("intermediate_size");
  const double ratio = keys.number("hidden_ratio", 4);
  if (!(ratio > 0 && ratio <= 1024))
    keys.refuse("hidden_ratio", fmt::format("{}", ratio), "a number up to 1024 is needed");
  return round_up<std::int64_t>(std::max<std::int64_t>(1, std::int64_t(double(width) * ratio)), 32);
}

ModelConfig read_fla(const Keys& keys, Description&) {
  ModelConfig model{.architecture = Architecture::rwkv7};
  model.width = keys.integer("hidden_size", 1, 1 << 20);
  model.layers = keys.integer("num_hidden_layers", 1, 1000);
  model.head_size = keys.has("head_dim") ? keys.integer("head_dim", 1, 4096) : 64;
  model.feed_forward = fla_feed_forward(keys, model.width);
  model.rank_decay = keys.extent("decay_low_rank_dim");
  model.rank_rate = keys.extent("a_low_rank_dim");
  model.rank_value = keys.extent("v_low_rank_dim");
  model.rank_gate = keys.extent("gate_low_rank_dim");
  keys.expect("norm_eps", keys.number("norm_eps", norm_epsilon), norm_epsilon);
  keys.expect("norm_bias", keys.flag("norm_bias", true), true);
  keys.expect("norm_first", keys.flag("norm_first", true), true);
  keys.expect("hidden_act", keys.text("hidden_act", "sqrelu"), std::string("sqrelu"));
  if (keys.has("attn"))
    keys.refuse("attn", "some layers are attention", "a model of RWKV-7 blocks only is needed");
  return model;
}

ModelConfig read_meta_state(const Keys& keys, Description&) {
  keys.expect<std::int64_t>("layout", keys.integer("layout", 0, 1000), 1);
  ModelConfig model{.architecture = Architecture::meta_state};
  model.layers = keys.integer("layers", 1, 1000);
  model.width = keys.integer("width", 1, 1 << 20);
  model.head_size = keys.integer("head_size", 1, 4096);
  model.heads = keys.integer("heads", 1, 1 << 20);
  model.feed_forward = keys.extent("feed_forward");
  model.rank_decay = keys.extent("rank_decay");
  model.rank_rate = keys.extent("rank_rate");
  model.rank_value = keys.extent("rank_value");
  model.rank_gate = keys.extent("rank_gate");
  model.read_out = keys.choice("read_out", read_out_names);
  model.read_state = keys.choice("read_state", read_state_names);
  model.rho = keys.number("rho", 1);
  return model;
}

// RWKV-LM keeps no configuration: the tensors tell it.
ModelConfig read_nothing(const Keys&, Description&) {
  return {.architecture = Architecture::rwkv7};
}

struct TypeRow {
  const char* type;  // model_type
  ExchangeFormat format;
  ModelConfig (*read)(const Keys&, Description&);
};
constexpr TypeRow types[] = {{"gpt_neox", ExchangeFormat::gpt_neox, read_gpt_neox},
                             {"llama", ExchangeFormat::llama, read_llama},
                             {"rwkv7", ExchangeFormat::fla, read_fla},
                             {"rwkv7_fla", ExchangeFormat::fla, read_fla},
                             {"rwkv_lm", ExchangeFormat::rwkv, read_nothing},
                             {"meta_state", ExchangeFormat::meta_state, read_meta_state}};

const TypeRow& type_of(const Keys& keys) {
  const std::string type = keys.text("model_type", "");
  std::string names;
  for (const TypeRow& row : types) {
    if (type == row.type) return row;
    names += (names.empty() ? "" : ", ") + std::string(row.type);
  }
  keys.refuse("model_type", "'" + type + "'", "one of " + names + " is needed");
}

}  // namespace

json describe(const ModelConfig& model, ExchangeFormat format, std::int64_t context) {
  expect_square(model, format);
  json words;
  switch (format) {
    case ExchangeFormat::gpt_neox: words = describe_gpt_neox(model); break;
    case ExchangeFormat::llama: words = describe_llama(model); break;
    case ExchangeFormat::fla: words = describe_fla(model); break;
    case ExchangeFormat::rwkv:
    case ExchangeFormat::meta_state: words = describe_recurrent(model); break;
  }
  words["vocab_size"] = model.vocabulary;
  words["max_position_embeddings"] = context;
  words["tie_word_embeddings"] = false;
  words["torch_dtype"] = "float32";
  return words;
}

Description read_description(const json& object, const std::filesystem::path& path) {
  const Keys keys(object, path);
  const TypeRow& row = type_of(keys);
  Description found{.format = row.format};
  found.model = row.read(keys, found);
  found.model.vocabulary = keys.integer("vocab_size", 2, 1 << 26);
  found.tied = keys.flag("tie_word_embeddings", false);
  if (keys.has("max_position_embeddings"))
    found.context = keys.integer("max_position_embeddings", 1, 1 << 24);
  return found;
}

}  // namespace metascale::exchange
