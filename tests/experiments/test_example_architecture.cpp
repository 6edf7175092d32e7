// The walk-through of docs/adding-an-architecture.md, carried out.
#include <catch2/catch.hpp>

#include "tests/experiments/example_architecture.hpp"
#include "tests/support/gradients.hpp"

namespace metascale {
namespace {

using testing::Values, testing::values_of;

constexpr std::int64_t B = 2, T = 7, L = 2, D = 16, V = 24, F = 40;

ModelConfig config() {
  return {.layers = L, .width = D, .vocabulary = V, .head_size = 8, .feed_forward = F};
}

// A Program by hand: that one finds its model in the table of models/model.cpp.
struct Recorded {
  ModelConfig model = config();
  ParameterList list;
  Tape tape;
  Tensor tokens, targets, scales, losses;
  std::vector<std::int32_t> token_values, target_values;
  std::vector<double> scale_values;
  std::unique_ptr<ParameterMemory> memory;
  Buffer planned;
  Queue queue;

  explicit Recorded(Recompute recompute)
      : tape({.dtype = Dtype::f64, .recompute = recompute}, list) {
    tokens = tape.input("tokens", {B, T}, Dtype::i32);
    Forward forward{.tape = tape, .config = model};
    const ModelOutput output = testing::primer(forward, tokens);
    targets = tape.input("targets", {B, T}, Dtype::i32);
    scales = tape.input("scales", {B, T}, Dtype::f64);
    losses = classifier(tape, output.hidden, output.head, targets, scales);
    tape.keep(losses);  // read after the execution: nothing else gets its memory
    tape.finish();
  }
  void allocate() {
    memory = std::make_unique<ParameterMemory>(list, Device::cpu, Dtype::f64);
    planned = Buffer(Device::cpu, tape.planned_bytes());
    for (std::int32_t i = 0; i < B * T; ++i) {
      token_values.push_back(i * 5 % V);
      target_values.push_back(i * 11 % V);
      scale_values.push_back(1.0 / (B * T));
    }
    for (const auto& entry : list.entries())  // not the initial zeros, which hide gradients
      testing::assign(memory->tensor(memory->values, entry),
                      testing::random_values(entry.spec.shape.size(), unsigned(entry.offset)));
    tape.bind_memory(planned.data());
    tape.bind_parameters(memory->values.data(), memory->gradients.data());
    tape.bind(tokens, token_values.data());
    tape.bind(targets, target_values.data());
    tape.bind(scales, scale_values.data());
  }
  double loss() {
    tape.execute(queue);
    const double* nats = static_cast<const double*>(tape.address(losses));
    double sum = 0;
    for (std::int64_t i = 0; i < B * T; ++i) sum += nats[i] / (B * T);
    return sum;
  }
  Values gradients() const { return values_of(memory->whole(memory->gradients)); }
};

}  // namespace

TEST_CASE("example architecture: forward code alone gives every gradient") {
  Recorded model(Recompute::none);
  model.allocate();
  model.loss();
  const std::string name = GENERATE("embed.weight", "blocks.0.q.weight", "blocks.1.norm_2.weight",
                                    "blocks.0.down.weight", "head.weight");
  const auto& entry = model.list.find(name);
  const Values gradient = values_of(model.memory->tensor(model.memory->gradients, entry));
  testing::expect_gradient(name, model.memory->tensor(model.memory->values, entry), gradient,
                           [&] { return model.loss(); }, {.step = 3e-6, .tolerance = 1e-6});
}

TEST_CASE("example architecture: recompute needs less memory and changes no bit") {
  Recorded kept(Recompute::none), made_again(Recompute::block);
  kept.allocate();
  made_again.allocate();
  CHECK(kept.loss() == made_again.loss());
  CHECK(kept.gradients() == made_again.gradients());
  CHECK(made_again.tape.planned_bytes() < kept.tape.planned_bytes());
}

TEST_CASE("example architecture: parameters and cost are known before memory is allocated") {
  const Recorded model(Recompute::none);
  CHECK(model.list.count() == 2 * V * D + D + L * (4 * D * D + 2 * D * F + 2 * D));
  CHECK(model.list.non_embedding_count() == D + L * (4 * D * D + 2 * D * F + 2 * D));
  const double matrices = double(V * D + L * (4 * D * D + 2 * D * F));
  CHECK(model.tape.total_cost().flops > 6.0 * B * T * matrices);  // and attention, norms ...
  CHECK(model.tape.total_cost().flops < 9.0 * B * T * matrices);
  CHECK(model.tape.planned_bytes() > 0);
}

}  // namespace metascale
