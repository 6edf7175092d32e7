// A run on two ranks, each with an emulated GPU of its own: processes of this program, which our
// launcher starts, over the communicator of tests/cuda_emulator/host_gpus.cpp.
#include <fmt/format.h>

#include <cuda_runtime.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>

#include "core/local_ranks.hpp"
#include "core/safetensors.hpp"
#include "experiments/trainer.hpp"
#include "tests/experiments/gpu_run.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using namespace testing;

constexpr int ranks = 2;
constexpr const char* folder_variable = "METASCALE_TEST_RUN";
constexpr const char* stop_variable = "METASCALE_TEST_STOP";  // after how many steps; 0: never

ExitCode train_on_ranks(const fs::path& folder, int stop = 0) {
  ::setenv(folder_variable, folder.c_str(), 1);
  ::setenv(stop_variable, std::to_string(stop).c_str(), 1);
  const EndedLocalRanks ended =
      run_local_ranks({.count = ranks, .words = {"/proc/self/exe", "[.rank]"}});
  INFO(ended.lost);
  CHECK(ended.lost.empty());
  return ExitCode(ended.code);
}

// Three steps of so many micro-batches of one window on each rank.
RunConfig shared_run(const RunsFolder& runs, const std::string& id, std::int64_t micro_batches) {
  RunConfig config = gpu_run(runs, id);
  config.training.batch_tokens = ranks * micro_batches * config.training.context;
  config.evaluation = {.windows = 1, .final_windows = 3};  // no multiple of the ranks
  return config;
}

// max |a - b| / max |b| over the floats of the newest checkpoints' weights.
double distance_of_weights(const fs::path& a, const fs::path& b) {
  const auto file_in = [](const fs::path& folder) {
    return SafetensorsFile(folder / "checkpoints" /
                           fmt::format("step-{:010}", checkpoint_steps(folder).back()) /
                           "model.safetensors");
  };
  const SafetensorsFile left = file_in(a), right = file_in(b);
  REQUIRE(left.entries().size() == right.entries().size());
  double distance = 0, largest = 0;
  for (const auto& entry : left.entries()) {
    REQUIRE(entry.dtype == StoredDtype::f32);
    const auto numbers = [&](const SafetensorsFile& file) {
      std::vector<float> values(entry.bytes / sizeof(float));
      file.read(file.at(entry.name), values.data(), entry.bytes);
      return values;
    };
    const std::vector<float> mine = numbers(left), truth = numbers(right);
    for (std::size_t i = 0; i < truth.size(); ++i) {
      REQUIRE(std::isfinite(mine[i]));
      distance = std::max(distance, std::abs(double(mine[i]) - double(truth[i])));
      largest = std::max(largest, std::abs(double(truth[i])));
    }
  }
  return distance / largest;
}

}  // namespace

TEST_CASE("one of the ranks of a test", "[.rank]") {
  cuda_emulator::machine().devices = ranks;
  const auto host = connect_ranks();
  REQUIRE(host->size() == ranks);
  TrainHooks hooks;
  hooks.stop = [left = std::atoi(std::getenv(stop_variable))]() mutable {
    return --left == 0 ? StopRequest::save : StopRequest::none;
  };
  const ExitCode code = train(std::getenv(folder_variable), hooks, *host);
  if (code != ExitCode::good) std::exit(int(code));
}

TEST_CASE(
    "two ranks with a GPU each train to the losses and weights of one, and every time to the same "
    "bits") {
  const std::int64_t micro_batches = GENERATE(2, 4);
  CAPTURE(micro_batches);
  const RunsFolder runs;
  const auto written = [&](const std::string& id) {
    return runs.write(shared_run(runs, id, micro_batches));
  };
  const fs::path one = written("one"), two = written("two"), again = written("again");
  REQUIRE(train(one, {}) == ExitCode::good);
  REQUIRE(train_on_ranks(two) == ExitCode::good);
  const Outcome alone = outcome_of(one), shared = outcome_of(two);
  CHECK(shared.log.facts.at("ranks") == std::to_string(ranks));
  REQUIRE(shared.log.steps.size() == alone.log.steps.size());
  for (std::size_t i = 0; i < alone.log.steps.size(); ++i) {
    const StepRow &row = shared.log.steps[i], &truth = alone.log.steps[i];
    CAPTURE(i);
    CHECK(row.digest == truth.digest);
    CHECK(row.tokens == truth.tokens);
    CHECK(row.learning_rate == truth.learning_rate);
    CHECK(row.loss == Approx(truth.loss).epsilon(1e-5));
    CHECK(row.gradient_norm == Approx(truth.gradient_norm).epsilon(1e-4));
  }
  REQUIRE(shared.log.evaluations.size() == alone.log.evaluations.size());
  for (std::size_t i = 0; i < alone.log.evaluations.size(); ++i) {
    CHECK(shared.log.evaluations[i].digest == alone.log.evaluations[i].digest);
    CHECK(shared.log.evaluations[i].nats == Approx(alone.log.evaluations[i].nats).epsilon(1e-5));
  }
  CHECK(distance_of_weights(two, one) <= 1e-5);
  REQUIRE(train_on_ranks(again, 2) ==
          ExitCode::saved);  // which gathers, and scatters when it goes on
  REQUIRE(train_on_ranks(again) == ExitCode::good);
  expect_equal_bits(shared, outcome_of(again));
}

}  // namespace metascale
