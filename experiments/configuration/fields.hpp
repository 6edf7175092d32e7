// The keys of config.yaml: one list of fields per structure serves the reader and the writer, so
// that what is written is what is read.
#pragma once

#include <concepts>
#include <type_traits>

#include "experiments/config_tables.hpp"

namespace metascale {

inline constexpr Named<Device> device_names[] = {
    {"cpu", Device::cpu}, {"cuda", Device::cuda}, {"plan", Device::plan}};

// Same: the structure, const for the writer.
template <typename T, typename Same>
concept Of = std::same_as<std::remove_const_t<T>, Same>;

void fields(auto& as, Of<ModelConfig> auto& model) {
  as.choice("architecture", model.architecture, architecture_names);
  as.integer("layers", model.layers, 1, 1000);
  as.integer("width", model.width, 1, 1 << 20);
  as.integer("vocabulary", model.vocabulary, 2, 1 << 26);
  as.integer("head_size", model.head_size, 1, 4096);
  as.integer("heads", model.heads, 0, 1 << 20);
  as.integer("feed_forward", model.feed_forward, 1, 1 << 26);
  as.integer("rank_decay", model.rank_decay, 0, 1 << 20);
  as.integer("rank_rate", model.rank_rate, 0, 1 << 20);
  as.integer("rank_value", model.rank_value, 0, 1 << 20);
  as.integer("rank_gate", model.rank_gate, 0, 1 << 20);
  as.late_flag("doubled_rate", model.doubled_rate);
  as.choice("read_out", model.read_out, read_out_names);
  as.choice("read_state", model.read_state, read_state_names);
  as.number("rho", model.rho, 1e-6, 1);
  as.number("gamma_init", model.gamma_init, -1e3, 1e3);
  as.number("rotary_fraction", model.rotary_fraction, 0, 1);
  as.flag("parallel_residual", model.parallel_residual);
  as.flag("gelu_tanh", model.gelu_tanh);
}

void fields(auto& as, Of<OptimizerConfig> auto& optimizer) {
  as.number("learning_rate", optimizer.learning_rate, 1e-12, 10);
  as.number("final_learning_rate", optimizer.final_learning_rate, 0, 10);
  as.number("beta1", optimizer.beta1, 0, 0.999999);
  as.number("beta2", optimizer.beta2, 0, 0.99999999);
  as.number("epsilon", optimizer.epsilon, 1e-30, 1);
  as.number("weight_decay", optimizer.weight_decay, 0, 100);
  as.number("clip", optimizer.clip, 1e-12, 1e12);
  as.number("new_learning_rate", optimizer.new_learning_rate, 0, 1e3);
  as.number("new_weight_decay", optimizer.new_weight_decay, 0, 1e3);
}

void fields(auto& as, Of<TrainingConfig> auto& training) {
  as.integer("steps", training.steps, 1);
  as.integer("batch_tokens", training.batch_tokens, 1);
  as.integer("micro_batch", training.micro_batch, 1, 1 << 20);
  as.integer("context", training.context, 1, 1 << 24);
  as.choice("precision", training.precision, precision_names);
  as.choice("recompute", training.recompute, recompute_names);
  as.choice("wkv", training.wkv, wkv_form_names);
  as.late_choice("low_rank", training.low_rank, low_rank_form_names, LowRankForm::separate);
  as.late_flag("stochastic_rounding", training.stochastic_rounding);
  as.late_flag("cuda_graph", training.cuda_graph);
  as.late_flag("timed_products", training.timed_products);
  as.group("schedule", [&](auto& in) {
    in.choice("kind", training.schedule.kind, schedule_kind_names);
    in.integer("warmup_steps", training.schedule.warmup_steps);
    in.integer("decay_steps", training.schedule.decay_steps);
    in.integer("first_step", training.schedule.first_step);
  });
  as.group("optimizer", [&](auto& in) { fields(in, training.optimizer); });
  as.choice("non_finite", training.non_finite, non_finite_names);
  as.group("spike", [&](auto& in) {
    in.choice("action", training.spike.action, on_spike_names);
    in.number("factor", training.spike.factor, 1, 1e6);
    in.integer("window", training.spike.window, 1, 1 << 16);
  });
  as.group("roll_back", [&](auto& in) {
    in.integer("skip_batches", training.roll_back.skip_batches, 1);
    in.integer("most", training.roll_back.most, 1, 1000);
  });
}

void fields(auto& as, Of<DataConfig> auto& data) {
  as.text("name", data.name);
  as.path("train", data.train);
  as.path("validation", data.validation);
  as.path("test", data.test);
  as.text("tokenizer", data.tokenizer);
  as.late_word("format", data.format, format_names, "megatron");
  as.word("order", data.order, order_names);
  as.seed("order_seed", data.order_seed);
  as.mixture("mixture", data.mixture);
  as.flag("reset_at_documents", data.reset_at_documents);
  as.probe("probe", data.probe);
}

void fields(auto& as, Of<Ancestor> auto& ancestor) {
  as.text("run", ancestor.run);
  as.integer("step", ancestor.step);
  as.integer("layers", ancestor.layers, 1, 1000);
  as.integer("heads", ancestor.heads, 0, 1 << 20);
  as.integer("feed_forward", ancestor.feed_forward, 1, 1 << 26);
  as.integer("rank_decay", ancestor.rank_decay, 0, 1 << 20);
  as.integer("rank_rate", ancestor.rank_rate, 0, 1 << 20);
  as.integer("rank_value", ancestor.rank_value, 0, 1 << 20);
  as.integer("rank_gate", ancestor.rank_gate, 0, 1 << 20);
  as.integers("insert_after", ancestor.insert_after, 0);
}

void fields(auto& as, Of<RunConfig> auto& run) {
  std::int64_t schema = run.schema;
  as.integer("schema", schema, 1, 1);
  as.text("id", run.id);
  as.text("sweep", run.sweep);
  as.text("arm", run.arm);
  as.text("size", run.size);
  as.text("length", run.length);
  as.choice("role", run.role, role_names);
  as.seed("seed", run.seed);
  as.choice("device", run.device, device_names);
  as.integer("threads", run.threads, 0, 4096);
  as.group("model", [&](auto& in) { fields(in, run.model); });
  as.group("training", [&](auto& in) { fields(in, run.training); });
  as.group("data", [&](auto& in) { fields(in, run.data); });
  as.group("evaluation", [&](auto& in) {
    in.integer("every_steps", run.evaluation.every_steps);
    in.integer("windows", run.evaluation.windows);
    in.integer("final_windows", run.evaluation.final_windows);
    in.word("protocol", run.evaluation.protocol, protocol_names);
    in.late_texts("domains", run.evaluation.domains);
  });
  as.group("log", [&](auto& in) {
    in.integer("checkpoint_every", run.log.checkpoint_every);
    in.integer("keep", run.log.keep, 1);
    in.integers("checkpoint_at", run.log.checkpoint_at, 1);
  });
  as.group("parent", [&](auto& in) {
    in.text("run", run.parent.run);
    in.integer("step", run.parent.step);
  });
  as.list("lineage", run.lineage, [](auto& in, auto& ancestor) { fields(in, ancestor); });
  as.words("match", run.match);
}

}  // namespace metascale
