// What each precision promises.
#include <catch2/catch.hpp>

#include "experiments/precision.hpp"
#include "experiments/program.hpp"
#include "experiments/trainer.hpp"
#include "tests/experiments/small_model.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale {
namespace {

using testing::any_architecture, testing::outcome_of, testing::RunsFolder;

double last_losses(const RunConfig& config, const RunsFolder& runs) {
  const auto folder = runs.write(config);
  REQUIRE(train(folder, {}) == ExitCode::good);
  const RunLog log = outcome_of(folder).log;
  double sum = 0;
  for (std::size_t i = log.steps.size() - 20; i < log.steps.size(); ++i)
    sum += log.steps[i].loss / 20;
  return sum;
}

TEST_CASE("200 steps with bf16 products, and with bf16 storage, end within 0.5 % of f32") {
  const RunsFolder runs;
  const Architecture architecture = any_architecture();
  CAPTURE(name_of(architecture));
  const auto loss = [&](Precision precision) {
    RunConfig config = runs.config(name_of(precision), architecture);
    config.training.precision = precision;
    config.training.steps = 200;
    config.log.checkpoint_every = 0;
    return last_losses(config, runs);
  };
  const double exact = loss(Precision::f32);
  CHECK(loss(Precision::bf16) == Approx(exact).epsilon(0.005));
  CHECK(loss(Precision::bf16_stored) == Approx(exact).epsilon(0.005));
}

TEST_CASE("a run that stores bf16 goes on after a stop with the same bits") {
  const RunsFolder runs;
  const auto config_of = [&](const std::string& id) {
    RunConfig config = runs.config(id, any_architecture());
    config.training.precision = Precision::bf16_stored;
    config.training.recompute = Recompute::block;
    return config;
  };
  const auto whole = runs.write(config_of("whole")), stopped = runs.write(config_of("stopped"));
  CHECK(train(whole, {}) == ExitCode::good);
  TrainHooks hooks;
  hooks.stop = [left = 7]() mutable { return --left <= 0 ? StopRequest::save : StopRequest::none; };
  CHECK(train(stopped, hooks) == ExitCode::saved);
  CHECK(train(stopped, {}) == ExitCode::good);
  testing::expect_equal_bits(outcome_of(whole), outcome_of(stopped));
}

TEST_CASE("activations in bf16 take about half the memory") {
  const ModelConfig model{.architecture = any_architecture(),
                          .layers = 4,
                          .width = 128,
                          .vocabulary = 257,
                          .head_size = 32,
                          .feed_forward = 512};
  const auto bytes = [&](Precision precision) {
    ParameterList list;
    const TapeOptions tape = tape_options({.precision = precision}, Device::cpu, true);
    return double(
        Program(model, {.rows = 2, .context = 256, .tape = tape}, list).tape().planned_bytes());
  };
  const double share = bytes(Precision::bf16_stored) / bytes(Precision::f32);
  CHECK(share > 0.45);
  CHECK(share < 0.8);  // the scan's states and the chunk of logits stay f32
}

TEST_CASE(
    "a GPU stores activations in bf16 where the products are bf16, a CPU only where it is asked "
    "to") {
  const TrainingConfig bf16{.precision = Precision::bf16}, f32{.precision = Precision::f32};
  CHECK_FALSE(tape_options(bf16, Device::cpu, true).bf16_storage);
  CHECK(tape_options(bf16, Device::cuda, true).bf16_storage);
  CHECK(tape_options({.precision = Precision::bf16_stored}, Device::cpu, true).bf16_storage);
  CHECK_FALSE(tape_options(f32, Device::cuda, true).bf16_storage);
}

}  // namespace
}  // namespace metascale
