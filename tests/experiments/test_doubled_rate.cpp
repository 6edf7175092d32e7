// The option that is not the published model: the in-context rate doubled where the state is
// removed.
#include <catch2/catch.hpp>
#include <cmath>

#include "core/random.hpp"
#include "experiments/program.hpp"
#include "tests/support/golden_model.hpp"
#include "tests/support/values.hpp"

namespace metascale {
namespace {

using testing::relative_error, testing::to_doubles;

constexpr std::int64_t T = 7, V = 12;

ModelConfig model_of(Architecture architecture, bool doubled) {
  return {.architecture = architecture,
          .layers = 2,
          .width = 16,
          .vocabulary = V,
          .head_size = 8,
          .feed_forward = 20,
          .rank_decay = 4,
          .rank_rate = 4,
          .rank_value = 4,
          .rank_gate = 4,
          .doubled_rate = doubled};
}

struct Run {
  ParameterList list;
  Program program;
  ParameterMemory memory;
  Queue queue;

  Run(const ModelConfig& model, bool training, Recompute recompute = Recompute::none)
      : program(model,
                {.rows = 1,
                 .context = T,
                 .tape = {.dtype = Dtype::f64, .training = training, .recompute = recompute},
                 .logits = !training},
                list),
        memory(list, Device::cpu, Dtype::f64) {
    program.allocate(Device::cpu, memory);
    for (std::int64_t t = 0; t < T; ++t) {
      program.tokens()[t] = std::int32_t(t * 5 % V);
      if (!training) continue;
      program.targets()[t] = std::int32_t(t * 7 % V);
      program.set_scale(t, 1.0 / double(T));
    }
    for (const auto& entry : list.entries()) {
      const RandomStream random(5, stream_of(entry.spec.name));
      testing::Values values(std::size_t(entry.spec.shape.size()));
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.5 * random.normal(i);
      testing::assign(memory.tensor(memory.values, entry), values);
    }
  }
  double* values(const std::string& name) {
    return memory.tensor(memory.values, list.find(name)).pointer<double>();
  }
  void set(const std::string& ending, double value) {
    for (const auto& entry : list.entries())
      if (entry.spec.name.ends_with(ending))
        testing::assign(memory.tensor(memory.values, entry),
                        testing::Values(std::size_t(entry.spec.shape.size()), value));
  }
  // The same rate at every token and channel; k_a = 0 keeps it out of the key that is written.
  void fix_rate(double rate) {
    set("att.a1", 0);
    set("att.k_a", 0);
    set("att.a0", std::log(rate / (1 - rate)));
  }
  std::vector<double> logits() {
    program.execute(queue);
    std::vector<double> values;
    for (std::int64_t i = 0; i < T * V; ++i) values.push_back(program.logit(i));
    return values;
  }
  double loss() {
    program.execute(queue);
    double sum = 0;
    for (std::int64_t t = 0; t < T; ++t) sum += program.loss(t) / double(T);
    return sum;
  }
};

}  // namespace

TEST_CASE("doubled_rate: a rate of 0.3 removes what a plain rate of 0.6 removes") {
  const auto architecture = GENERATE(Architecture::rwkv7, Architecture::meta_state);
  Run doubled(model_of(architecture, true), false), plain(model_of(architecture, false), false);
  doubled.fix_rate(0.3);
  plain.fix_rate(0.6);
  const auto wanted = plain.logits();
  CHECK(relative_error(doubled.logits(), wanted) < 1e-12);
  plain.fix_rate(0.3);  // the control: the rate does reach the logits
  CHECK(relative_error(plain.logits(), wanted) > 1e-6);
}

TEST_CASE(
    "doubled_rate: gradients agree with finite differences, and a block made again has its bits") {
  const auto architecture = GENERATE(Architecture::rwkv7, Architecture::meta_state);
  Run run(model_of(architecture, true), true),
      again(model_of(architecture, true), true, Recompute::block);
  run.loss();
  again.loss();
  const double step = 3e-6;  // relu^2 has a jump in its second derivative
  for (const auto& entry : run.list.entries()) {
    CAPTURE(entry.spec.name);
    const auto gradient = to_doubles(run.memory.tensor(run.memory.gradients, entry));
    CHECK(to_doubles(again.memory.tensor(again.memory.gradients,
                                         again.list.find(entry.spec.name))) == gradient);
    Run moved(model_of(architecture, true), true);
    const std::size_t at = gradient.size() / 2;
    double& value = moved.values(entry.spec.name)[at];
    const double here = value;
    value = here + step;
    const double above = moved.loss();
    value = here - step;
    const double below = moved.loss();
    CHECK((above - below) / (2 * step) == Approx(gradient[at]).epsilon(1e-5).margin(1e-8));
  }
}

}  // namespace metascale
