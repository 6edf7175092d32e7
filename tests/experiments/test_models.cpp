// Whole models against vectors from an independent float64 implementation.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <typeinfo>

#include "kernels/elementwise.hpp"
#include "tests/support/golden_model.hpp"

namespace metascale {
namespace {

using testing::GoldenModel, testing::relative_error, testing::to_doubles;

struct Tolerance {
  Dtype dtype;
  double logits, gradients;
};
// f64: the reference carries 35 mantissa bits. f32: rounding through two layers, largest where
// gradients pass the read-out's normalisation (factor 316).
constexpr Tolerance tolerances[] = {{Dtype::f64, 1e-9, 1e-9}, {Dtype::f32, 1e-4, 1e-4}};

struct Model {
  const char* name;
  LowRankForm low_rank = LowRankForm::separate;
};
constexpr Model recurrent_models[] = {{"rwkv7_tiny"},
                                      {"metastate_tiny"},
                                      {"metastate_current_tiny"},
                                      {"metastate_timemix_tiny"},
                                      {"rwkv7_tiny", LowRankForm::joined},
                                      {"metastate_tiny", LowRankForm::joined},
                                      {"metastate_current_tiny", LowRankForm::joined},
                                      {"metastate_timemix_tiny", LowRankForm::joined}};
constexpr Model transformers[] = {{"transformer_tiny"}, {"transformer_pp_tiny"}};

Model recurrent_model() {
  return GENERATE(from_range(std::begin(recurrent_models), std::end(recurrent_models)));
}
Model any_model() {
  return GENERATE(from_range(std::begin(recurrent_models), std::end(recurrent_models)),
                  from_range(std::begin(transformers), std::end(transformers)));
}

TEST_CASE("a model has the logits of the reference") {
  const auto [name, low_rank] = any_model();
  const auto tolerance = GENERATE(from_range(std::begin(tolerances), std::end(tolerances)));
  CAPTURE(name, name_of(low_rank), name_of(tolerance.dtype));
  const GoldenModel golden(name);
  ParameterList list;
  Program program(golden.config,
                  {.rows = golden.rows,
                   .context = golden.context,
                   .tape = {.dtype = tolerance.dtype, .training = false, .low_rank = low_rank},
                   .logits = true},
                  list);
  ParameterMemory memory(list, Device::cpu, tolerance.dtype);
  golden.load_parameters(list, memory);
  program.allocate(Device::cpu, memory);
  golden.fill_inputs(program);
  Queue queue;
  program.execute(queue);

  const auto wanted = golden.values("logits");
  std::vector<double> found;
  for (std::size_t i = 0; i < wanted.size(); ++i) found.push_back(program.logit(std::int64_t(i)));
  CHECK(relative_error(found, wanted) < tolerance.logits);
}

TEST_CASE("a model has the loss and every parameter's gradient of the reference") {
  const auto [name, low_rank] = any_model();
  const auto tolerance = GENERATE(from_range(std::begin(tolerances), std::end(tolerances)));
  const auto recompute = GENERATE(Recompute::none, Recompute::block);
  CAPTURE(name, name_of(low_rank), name_of(tolerance.dtype), recompute == Recompute::block);
  const GoldenModel golden(name);
  ParameterList list;
  Program program(
      golden.config,
      {.rows = golden.rows,
       .context = golden.context,
       .tape = {.dtype = tolerance.dtype, .recompute = recompute, .low_rank = low_rank}},
      list);
  ParameterMemory memory(list, Device::cpu, tolerance.dtype);
  golden.load_parameters(list, memory);
  program.allocate(Device::cpu, memory);
  golden.fill_inputs(program);
  Queue queue;
  program.execute(queue);

  double loss = 0;
  const std::int64_t count = golden.rows * golden.context;
  for (std::int64_t i = 0; i < count; ++i) loss += program.loss(i) / double(count);
  CHECK(std::abs(loss - golden.file.attribute_double("/", "loss")) < tolerance.logits * loss);
  for (const auto& entry : list.entries()) {
    CAPTURE(entry.spec.name);
    CHECK(relative_error(to_doubles(memory.tensor(memory.gradients, entry)),
                         golden.values("grads/" + entry.spec.name)) < tolerance.gradients);
  }
}

TEST_CASE("recompute changes memory and not one bit of a gradient") {
  const auto [name, low_rank] = any_model();
  CAPTURE(name, name_of(low_rank));
  const GoldenModel golden(name);
  std::vector<double> gradients[2];
  std::size_t bytes[2];
  for (const auto recompute : {Recompute::none, Recompute::block}) {
    ParameterList list;
    Program program(golden.config,
                    {.rows = golden.rows,
                     .context = golden.context,
                     .tape = {.dtype = Dtype::f32, .recompute = recompute, .low_rank = low_rank}},
                    list);
    ParameterMemory memory(list, Device::cpu, Dtype::f32);
    golden.load_parameters(list, memory);
    program.allocate(Device::cpu, memory);
    golden.fill_inputs(program);
    Queue queue;
    program.execute(queue);
    gradients[int(recompute)] = to_doubles(memory.whole(memory.gradients));
    bytes[int(recompute)] = program.bytes();
  }
  CHECK(gradients[0] == gradients[1]);
  CHECK(bytes[1] < bytes[0]);
}

TEST_CASE(
    "norms make the sums they read, and where blocks are recomputed all but the last of a block") {
  const auto [name, low_rank] = any_model();
  const auto recompute = GENERATE(Recompute::none, Recompute::block);
  CAPTURE(name, name_of(low_rank));
  const GoldenModel golden(name);
  ParameterList list;
  const Program program(golden.config,
                        {.rows = golden.rows,
                         .context = golden.context,
                         .tape = {.recompute = recompute, .low_rank = low_rank}},
                        list);
  const auto operators = program.tape().operators();
  const auto sums = std::count(operators.begin(), operators.end(), typeid(AddForward).name());
  CHECK(sums == (recompute == Recompute::block ? golden.config.layers : 0));
}

TEST_CASE("a second execution finds nothing of the first") {
  const auto [name, low_rank] = any_model();
  CAPTURE(name, name_of(low_rank));
  const GoldenModel golden(name);
  ParameterList list;
  Program program(golden.config,
                  {.rows = golden.rows, .context = golden.context, .tape = {.low_rank = low_rank}},
                  list);
  ParameterMemory memory(list, Device::cpu, Dtype::f32);
  golden.load_parameters(list, memory);
  program.allocate(Device::cpu, memory);
  golden.fill_inputs(program);
  Queue queue;
  program.execute(queue);
  const auto once = to_doubles(memory.whole(memory.gradients));
  std::memset(memory.gradients.data(), 0, memory.gradients.bytes());
  program.poison();  // NaN in every activation and gradient
  program.execute(queue);
  CHECK(to_doubles(memory.whole(memory.gradients)) == once);
}

TEST_CASE("one token at a time with carried state equals the whole sequence at once") {
  const auto [name, low_rank] = recurrent_model();
  CAPTURE(name, name_of(low_rank));
  const GoldenModel golden(name);
  const TapeOptions forward_only{.dtype = Dtype::f64, .training = false, .low_rank = low_rank};
  ParameterList list;
  Program step(golden.config,
               {.rows = golden.rows,
                .context = 1,
                .tape = forward_only,
                .carry_state = true,
                .logits = true},
               list);
  ParameterMemory memory(list, Device::cpu, Dtype::f64);
  golden.load_parameters(list, memory);
  step.allocate(Device::cpu, memory);

  const auto tokens = golden.values("tokens"), wanted = golden.values("logits");
  const std::int64_t B = golden.rows, T = golden.context, V = golden.config.vocabulary;
  std::vector<double> found(wanted.size(), NAN);
  Queue queue;
  for (std::int64_t t = 0; t < T; ++t) {
    for (std::int64_t b = 0; b < B; ++b)
      step.tokens()[b] = std::int32_t(tokens[std::size_t(b * T + t)]);
    step.execute(queue);
    for (std::int64_t b = 0; b < B; ++b)
      for (std::int64_t v = 0; v < V; ++v)
        found[std::size_t((b * T + t) * V + v)] = step.logit(b * V + v);
    step.advance_state();
  }
  CHECK(relative_error(found, wanted) < 1e-9);
  if (!golden.file.contains("final_state")) return;
  for (std::int64_t l = 0; l < golden.config.layers; ++l) {
    const std::string block = concat("blocks.", l, "."), state = concat("final_state/", l, "/");
    CHECK(relative_error(step.state(block + "att.state"), golden.values(state + "S")) < 1e-9);
    CHECK(relative_error(step.state(block + "att.x"), golden.values(state + "x_att")) < 1e-9);
    CHECK(relative_error(step.state(block + "ffn.x"), golden.values(state + "x_ffn")) < 1e-9);
  }
}

}  // namespace
}  // namespace metascale
