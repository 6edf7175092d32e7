// Where a step that gave no number went wrong: the operator, the operand, the parameter.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "experiments/not_finite.hpp"
#include "experiments/run_context.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale {
namespace {

using testing::RunsFolder;

constexpr float infinite = std::numeric_limits<float>::infinity();
constexpr float huge = 3e38f;  // finite, and its square is not

// What is said of a run's step in which `count` numbers of a parameter from `first` on have this
// value; "" where the step is finite.
std::string said_with(const RunConfig& config, const std::string& name, float value,
                      std::int64_t first = 3, std::int64_t count = 1,
                      std::int64_t skipped_batches = 0) {
  RunContext context(config, {});
  initialise(context.parameters(), context.memory(), 1);
  auto* values = reinterpret_cast<float*>(context.memory().values.data());
  std::fill_n(values + context.parameters().find(name).offset + first, count, value);
  context.parameters_changed();
  context.state.skipped_batches = skipped_batches;
  const StepRow row = context.train_step();
  if (std::isfinite(row.loss) && std::isfinite(row.gradient_norm)) return "";
  return context.first_not_finite(row);
}

TEST_CASE("a parameter that holds a number that is not finite is named") {
  const RunsFolder runs;
  const std::string name = GENERATE("blocks.1.att.key.weight", "head.weight");
  CHECK(said_with(runs.config("run"), name, infinite) ==
        "the parameter " + name + " itself holds numbers that are not finite");
}

TEST_CASE("the operator that makes the first number that is not finite is named") {
  const RunsFolder runs;
  CHECK(said_with(runs.config("run"), "blocks.1.ln2.weight", huge) ==
        "the first number that is not finite is in LayerNormForward.y, operator 44 of 134, behind "
        "the parameter blocks.1.ln2.bias");
  CHECK_THAT(
      said_with(runs.config("run"), "head.weight", huge, 0, 32),
      Catch::StartsWith("the first number that is not finite is in ClassifierLossAndGradients"));
}

// Rows of the embedding that only some windows read: whichever micro-batch of whichever batch has
// gone wrong is the one that is made again.
TEST_CASE("what is not finite is found in any micro-batch, of the batch that the step had") {
  const RunsFolder runs;
  RunConfig config = runs.config("run");
  config.training.micro_batch = 1;
  const std::int64_t skipped = GENERATE(0, 7);
  int met = 0, absent = 0;
  for (std::int64_t token = 'a'; token <= 'z'; ++token) {
    const std::string said = said_with(config, "emb.weight", huge, token * config.model.width,
                                       config.model.width, skipped);
    CAPTURE(token, said);
    ++(said.empty() ? absent : met);
    if (!said.empty())
      CHECK_THAT(said, Catch::StartsWith("the first number that is not finite is in"));
  }
  CHECK(met > 0);
  CHECK(absent > 0);
}

}  // namespace
}  // namespace metascale
