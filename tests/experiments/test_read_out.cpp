// What the Meta-State layer adds to RWKV-7, and that it adds nothing else.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "core/random.hpp"
#include "tests/support/golden_model.hpp"
#include "tests/support/values.hpp"

namespace metascale {
namespace {

using testing::largest, testing::relative_error, testing::to_doubles;

constexpr std::int64_t rows = 2, context = 21;  // more than one checkpoint of the state

ModelConfig model_of(Architecture architecture) {
  return {.architecture = architecture,
          .layers = 2,
          .width = 32,
          .vocabulary = 40,
          .head_size = 16,
          .feed_forward = 48};
}

struct ReadOutCase {
  ReadOut read_out;
  ReadState read_state;
};
constexpr ReadOutCase read_outs[] = {{ReadOut::state, ReadState::previous},
                                     {ReadOut::state, ReadState::current},
                                     {ReadOut::time_mix, ReadState::previous}};

ModelConfig meta_state_of(const ReadOutCase& read) {
  ModelConfig model = model_of(Architecture::meta_state);
  model.read_out = read.read_out;
  model.read_state = read.read_state;
  return model;
}

struct Run {
  ParameterList list;
  Program program;
  ParameterMemory memory;
  Queue queue;

  Run(const ModelConfig& model, bool training, Dtype dtype)
      : program(model,
                {.rows = rows,
                 .context = context,
                 .tape = {.dtype = dtype, .training = training},
                 .logits = !training},
                list),
        memory(list, Device::cpu, dtype) {
    program.allocate(Device::cpu, memory);
    for (std::int64_t i = 0; i < rows * context; ++i) {
      program.tokens()[i] = std::int32_t(i * i % 37);
      if (!training) continue;
      program.targets()[i] = std::int32_t((i + 1) * (i + 1) % 37);
      program.set_scale(i, 1.0 / double(rows * context));
    }
  }
  // Normal values that depend on the tensor's name and the index in it; all gammas are `gamma`.
  void randomise(double gamma) {
    for (const auto& entry : list.entries()) {
      const RandomStream random(5, stream_of(entry.spec.name));
      testing::Values values(std::size_t(entry.spec.shape.size()), gamma);
      if (!entry.spec.name.ends_with("sse_gamma"))
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.3 * random.normal(i);
      testing::assign(memory.tensor(memory.values, entry), values);
    }
  }
  std::vector<double> logits() {
    program.execute(queue);
    std::vector<double> values;
    for (std::int64_t i = 0; i < rows * context * 40; ++i) values.push_back(program.logit(i));
    return values;
  }
  std::vector<double> gradient(const std::string& name) const {
    return to_doubles(memory.tensor(memory.gradients, list.find(name)));
  }
};

}  // namespace

TEST_CASE("meta_state: a fresh model has the logits of rwkv7, bit for bit") {
  const ReadOutCase read = GENERATE(from_range(std::begin(read_outs), std::end(read_outs)));
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  Run base(model_of(Architecture::rwkv7), false, dtype);
  Run meta(meta_state_of(read), false, dtype);
  initialise(base.list, base.memory, 3);
  initialise(meta.list, meta.memory, 3);  // gamma is 1, but the values of the tokens are 0
  const auto logits = base.logits();
  CHECK(meta.logits() == logits);
  CHECK(largest(logits) > 0);
}

TEST_CASE("meta_state: with gamma 0 it is rwkv7: logits to the bit, and all shared gradients") {
  const ReadOutCase read = GENERATE(from_range(std::begin(read_outs), std::end(read_outs)));
  SECTION("logits") {
    const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
    Run base(model_of(Architecture::rwkv7), false, dtype);
    Run meta(meta_state_of(read), false, dtype);
    base.randomise(0);
    meta.randomise(0);
    const auto logits = base.logits();
    CHECK(meta.logits() == logits);
    meta.randomise(1e-3);  // the control: gamma does reach the logits
    CHECK(relative_error(meta.logits(), logits) > 1e-9);
  }
  SECTION("gradients, of which gamma's own is not zero") {
    Run base(model_of(Architecture::rwkv7), true, Dtype::f64);
    Run meta(meta_state_of(read), true, Dtype::f64);
    base.randomise(0);
    meta.randomise(0);
    base.program.execute(base.queue);
    meta.program.execute(meta.queue);
    for (const auto& entry : base.list.entries()) {
      CAPTURE(entry.spec.name);
      CHECK(relative_error(meta.gradient(entry.spec.name), base.gradient(entry.spec.name)) <=
            1e-12);
    }
    for (const char* gamma : {"blocks.0.ffn.sse_gamma", "blocks.1.ffn.sse_gamma"})
      CHECK(largest(meta.gradient(gamma)) > 1e-6);
  }
}

TEST_CASE("meta_state: the previous state and the current one are different read-outs") {
  Run previous(meta_state_of(read_outs[0]), false, Dtype::f64);
  Run current(meta_state_of(read_outs[1]), false, Dtype::f64);
  previous.randomise(1);
  current.randomise(1);
  const auto a = previous.logits(), b = current.logits();
  CHECK(relative_error(a, b) > 1e-3);
}

TEST_CASE("meta_state: a token changes no logit before it") {
  const ReadOutCase read = GENERATE(from_range(std::begin(read_outs), std::end(read_outs)));
  const std::int64_t changed = GENERATE(0, 9, 20);  // the second row is left alone
  Run meta(meta_state_of(read), false, Dtype::f64);
  meta.randomise(1);
  const auto before = meta.logits();
  meta.program.tokens()[changed] = 38;
  const auto after = meta.logits();
  for (std::int64_t i = 0; i < rows * context; ++i) {
    const auto at = std::ptrdiff_t(i * 40);
    const bool same = std::equal(before.begin() + at, before.begin() + at + 40, after.begin() + at);
    CAPTURE(i);
    CHECK(same == (i < changed || i >= context));
  }
}

// Operators of one training step whose type's name contains this.
std::ptrdiff_t recorded(const ModelConfig& model, const char* name) {
  const Run run(model, true, Dtype::f32);
  const auto operators = run.program.tape().operators();
  return std::count_if(operators.begin(), operators.end(), [&](const std::string& each) {
    return each.find(name) != std::string::npos;
  });
}

TEST_CASE("meta_state: no operator but the loss has a softmax in it, and none is attention") {
  const auto read = GENERATE(from_range(std::begin(read_outs), std::end(read_outs)));
  const ModelConfig model = meta_state_of(read);
  CHECK(recorded(model, "Attention") == 0);
  CHECK(recorded(model, "oftmax") == 0);
  CHECK(recorded(model, "ClassifierLoss") == 1);  // the loss, with its gradient
  CHECK(recorded(model, "Wkv7Forward") == model.layers);
  CHECK(recorded(model_of(Architecture::transformer), "Attention") == 2 * model.layers);
}

TEST_CASE("meta_state: the first token reads an empty state") {
  Run meta(meta_state_of(read_outs[0]), false, Dtype::f64);
  Run base(model_of(Architecture::rwkv7), false, Dtype::f64);
  meta.randomise(1);
  base.randomise(0);
  const auto with = meta.logits(), without = base.logits();
  for (std::size_t i = 0; i < 40; ++i) CHECK(with[i] == without[i]);
  CHECK(with[40] != without[40]);  // the second token reads what the first one wrote
}

}  // namespace metascale
