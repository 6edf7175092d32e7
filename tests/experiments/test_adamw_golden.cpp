// The assembled optimizer - global norm, clip, groups, two steps - on whole models, against vectors
// from an independent float64 implementation.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "experiments/optimizer.hpp"
#include "tests/support/golden_model.hpp"

namespace metascale {
namespace {

using testing::GoldenModel, testing::relative_error, testing::to_doubles;

constexpr const char* all_models[] = {
    "rwkv7_tiny",       "metastate_tiny",     "metastate_current_tiny", "metastate_timemix_tiny",
    "transformer_tiny", "transformer_pp_tiny"};

// The reference carries 35 mantissa bits; its norms are of gradients rounded to them.
constexpr double tolerance = 1e-9;

OptimizerConfig optimizer_of(const GoldenModel& golden) {
  const auto json = nlohmann::json::parse(golden.file.attribute_string("/", "adamw"));
  return {.learning_rate = json.at("lr"),
          .beta1 = json.at("b1"),
          .beta2 = json.at("b2"),
          .epsilon = json.at("eps"),
          .weight_decay = json.at("wd"),
          .clip = json.at("clip")};
}

// A model with its gradient, made once in f64, and its optimizer.
struct Update {
  GoldenModel golden;
  OptimizerConfig config;
  ParameterList list;
  Program program;
  ParameterMemory memory;
  Queue queue;
  Optimizer optimizer;
  double norm = 0;

  explicit Update(const std::string& name)
      : golden(name),
        config(optimizer_of(golden)),
        program(golden.config,
                {.rows = golden.rows, .context = golden.context, .tape = {.dtype = Dtype::f64}},
                list),
        memory(list, Device::cpu, Dtype::f64),
        optimizer(queue, config, list, memory) {
    golden.load_parameters(list, memory);
    program.allocate(Device::cpu, memory);
    golden.fill_inputs(program);
    optimizer.clear_gradients(queue);
    program.execute(queue);
    optimizer.send_gradient_norm(queue);
    norm = std::sqrt(optimizer.squared_gradient_norm());
  }
  void step(std::int64_t number) { optimizer.update(queue, config.learning_rate, norm, number); }
};

TEST_CASE("two steps of AdamW, clipped, give the parameters of the reference") {
  const auto name = GENERATE(from_range(std::begin(all_models), std::end(all_models)));
  CAPTURE(name);
  Update update(name);
  const double wanted_norm = update.golden.file.attribute_double("/", "grad_norm");
  REQUIRE(wanted_norm > update.config.clip);  // or nothing is clipped
  CHECK(update.norm == Approx(wanted_norm).epsilon(tolerance));

  for (const std::int64_t number : {1, 2}) update.step(number);  // of one and the same gradient
  const auto stored = update.golden.file.datasets("adamw_after2");
  REQUIRE(stored.size() >= 3);
  for (const std::string& tensor : stored) {
    CAPTURE(tensor);
    const Tensor found = update.memory.tensor(update.memory.values, update.list.find(tensor));
    CHECK(relative_error(to_doubles(found), update.golden.values("adamw_after2/" + tensor)) <
          tolerance);
  }
}

// Under the recurrent models' epsilon two steps of one gradient hardly depend on its length; the
// moment does.
TEST_CASE("the first moment is made of the gradient clipped by the norm over all tensors") {
  const auto name = GENERATE(from_range(std::begin(all_models), std::end(all_models)));
  CAPTURE(name);
  Update update(name);
  update.step(1);
  const double wanted_norm = update.golden.file.attribute_double("/", "grad_norm");
  const double factor = update.config.clip / (wanted_norm + 1e-6) * (1 - update.config.beta1);
  for (const auto& entry : update.list.entries()) {
    CAPTURE(entry.spec.name);
    auto wanted = update.golden.values("grads/" + entry.spec.name);
    std::transform(wanted.begin(), wanted.end(), wanted.begin(),
                   [&](double slope) { return factor * slope; });
    CHECK(relative_error(to_doubles(update.memory.tensor(update.memory.m, entry)), wanted) <
          tolerance);
  }
}

}  // namespace
}  // namespace metascale
