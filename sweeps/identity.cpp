// A run's identity: everything that changes its result, in one text.
#include <fmt/format.h>

#include "core/hash.hpp"
#include "sweeps/resolve.hpp"

namespace metascale {
namespace {

// Raise it when a change of the code changes what the same configuration trains to.
constexpr int numerics_version = 1;

class Text {
 public:
  void add(const char* key, const std::string& value) {
    text_ += fmt::format("{}={}\n", key, value);
  }
  void add(const char* key, const char* value) { add(key, std::string(value)); }
  void add(const char* key, std::int64_t value) { add(key, std::to_string(value)); }
  void add(const char* key, double value) { add(key, yaml_number(value)); }
  void add_flag(const char* key, bool value) { add(key, value ? "true" : "false"); }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void add_recurrent(Text& text, const ModelConfig& model) {
  const LowRanks rank = low_ranks(model);
  text.add("model.heads", head_count(model));
  text.add("model.rank_decay", rank.decay);
  text.add("model.rank_rate", rank.rate);
  text.add("model.rank_value", rank.value);
  text.add("model.rank_gate", rank.gate);
  if (model.doubled_rate) text.add_flag("model.doubled_rate", true);
  if (model.architecture != Architecture::meta_state) return;
  text.add("model.read_out", name_of(model.read_out));
  if (model.read_out == ReadOut::state) text.add("model.read_state", name_of(model.read_state));
  text.add("model.read_heads", read_head_count(model));
  text.add("model.gamma_init", model.gamma_init);
}

// A Transformer's heads fill its width, unless they were grown.
void add_grown_heads(Text& text, const ModelConfig& model) {
  if (head_count(model) * model.head_size != model.width)
    text.add("model.heads", head_count(model));
}

void add_model(Text& text, const ModelConfig& model) {
  text.add("model.architecture", name_of(model.architecture));
  text.add("model.layers", model.layers);
  text.add("model.width", model.width);
  text.add("model.vocabulary", model.vocabulary);
  text.add("model.head_size", model.head_size);
  text.add("model.feed_forward", model.feed_forward);
  switch (model.architecture) {
    case Architecture::transformer:
      text.add("model.rotary_fraction", model.rotary_fraction);
      text.add_flag("model.parallel_residual", model.parallel_residual);
      text.add_flag("model.gelu_tanh", model.gelu_tanh);
      add_grown_heads(text, model);
      break;
    case Architecture::transformer_pp: add_grown_heads(text, model); break;
    case Architecture::rwkv7:
    case Architecture::meta_state: add_recurrent(text, model); break;
  }
}

// What is done about losses that are numbers, where it changes the updates.
void add_spike(Text& text, const SpikeConfig& spike, const RollBackConfig& roll_back) {
  if (spike.action != OnSpike::skip && spike.action != OnSpike::roll_back) return;
  text.add("spike.action", name_of(spike.action));
  text.add("spike.factor", spike.factor);
  text.add("spike.window", spike.window);
  if (spike.action == OnSpike::roll_back)
    text.add("roll_back.skip_batches", roll_back.skip_batches);
}

void add_training(Text& text, const TrainingConfig& training, Role role) {
  // A trunk never decays: how far it goes changes none of its steps, and it grows with its sweep.
  if (role != Role::trunk) text.add("training.steps", training.steps);
  text.add("training.batch_tokens", training.batch_tokens);
  text.add("training.context", training.context);
  text.add("training.precision", name_of(training.precision));
  if (training.stochastic_rounding) text.add_flag("training.stochastic_rounding", true);
  text.add("schedule.kind", name_of(training.schedule.kind));
  text.add("schedule.warmup_steps", training.schedule.warmup_steps);
  text.add("schedule.decay_steps", training.schedule.decay_steps);
  if (training.schedule.first_step) text.add("schedule.first_step", training.schedule.first_step);
  add_spike(text, training.spike, training.roll_back);
  const OptimizerConfig& optimizer = training.optimizer;
  text.add("optimizer.learning_rate", optimizer.learning_rate);
  text.add("optimizer.final_learning_rate", optimizer.final_learning_rate);
  text.add("optimizer.beta1", optimizer.beta1);
  text.add("optimizer.beta2", optimizer.beta2);
  text.add("optimizer.epsilon", optimizer.epsilon);
  text.add("optimizer.weight_decay", optimizer.weight_decay);
  text.add("optimizer.clip", optimizer.clip);
  if (optimizer.new_learning_rate != 1)
    text.add("optimizer.new_learning_rate", optimizer.new_learning_rate);
  if (optimizer.new_weight_decay != 1)
    text.add("optimizer.new_weight_decay", optimizer.new_weight_decay);
}

}  // namespace

std::string identity_text(const RunConfig& config) {
  Text text;
  text.add("numerics", std::int64_t(numerics_version));
  text.add("role", name_of(config.role));
  add_model(text, config.model);
  add_training(text, config.training, config.role);
  text.add("data.name", config.data.name);
  text.add("data.tokenizer", std::filesystem::path(config.data.tokenizer).filename().string());
  if (config.data.format != "megatron") text.add("data.format", config.data.format);
  text.add("data.order", config.data.order);
  text.add("data.order_seed", std::to_string(config.data.order_seed));
  text.add("data.mixture", config.data.mixture);
  text.add_flag("data.reset_at_documents", config.data.reset_at_documents);
  if (config.data.probe.exists()) text.add("data.probe", identity_of(config.data.probe));
  text.add("seed", std::to_string(config.seed));
  if (!config.parent.run.empty()) {
    text.add("parent.run", config.parent.run);
    text.add("parent.step", config.parent.step);
  }
  return text.take();
}

std::string run_id(const RunConfig& config) {
  return fmt::format("{}-{}-{}-s{}-{}", config.arm, config.size, config.length, config.seed,
                     sha256_hex(identity_text(config)).substr(0, 8));
}

}  // namespace metascale
