// The programs of a run, the memory that they share, and whether it fits.
#include <catch2/catch.hpp>
#include <cstring>

#include "experiments/probe_evaluation.hpp"
#include "experiments/run_context.hpp"
#include "experiments/run_programs.hpp"
#include "tests/experiments/allocations.hpp"
#include "tests/experiments/small_model.hpp"
#include "tests/support/cases.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale {
namespace {

using testing::any_architecture, testing::message_of_error, testing::RunsFolder;

// No files are read to know a run's memory.
RunConfig some_run(Architecture architecture = Architecture::rwkv7) {
  return {.model = testing::small_model(architecture),
          .training = {.steps = 1, .batch_tokens = 256, .micro_batch = 8, .context = 32}};
}

TEST_CASE("programs of a run share the memory of their activations") {
  const RunConfig config = some_run(any_architecture());
  CAPTURE(name_of(config.model.architecture));
  ParameterList list;
  RunPrograms programs(config, 8, 1, list);
  const std::size_t inputs = programs.evaluation(8, 32).input_bytes();
  CHECK(inputs > 0);
  CHECK(programs.evaluation(8, 32).tape().planned_bytes() > 0);
  CHECK(programs.bytes() == programs.training().bytes() + inputs);  // training needs more than that
  CHECK_THROWS_AS(programs.evaluation(4, 32), Error);
}

TEST_CASE("memory that is too small for a program is refused") {
  ParameterList list;
  Program program(testing::small_model(Architecture::rwkv7), {.rows = 2, .context = 24}, list);
  const ParameterMemory memory(list, Device::cpu, Dtype::f32);
  const Buffer small(Device::cpu, program.tape().planned_bytes() - 1);
  CHECK_THAT(message_of_error([&] { program.allocate(Device::cpu, memory, small); }),
             Catch::Contains("planned bytes was given"));
}

TEST_CASE("an evaluation between two steps changes no bit of the steps") {
  const RunsFolder runs;
  const RunConfig config = runs.config("run", any_architecture());
  CAPTURE(name_of(config.model.architecture));
  RunContext plain(config, {}), evaluated(config, {});
  for (RunContext* context : {&plain, &evaluated}) {
    initialise(context->parameters(), context->memory(), 1);
    context->train_step();
  }
  const auto first = evaluated.evaluate_split("validation", false, [] { return true; });
  const StepRow a = plain.train_step(), b = evaluated.train_step();
  CHECK(a.loss == b.loss);
  CHECK(a.gradient_norm == b.gradient_norm);
  const Buffer &x = plain.memory().values, &y = evaluated.memory().values;
  CHECK(std::memcmp(x.data(), y.data(), x.bytes()) == 0);
  CHECK(first->tokens > 0);
}

TEST_CASE("a step allocates nothing of the size of its batch once the first is made") {
  const RunsFolder runs;
  RunContext context(runs.config("run"), {});
  initialise(context.parameters(), context.memory(), 1);
  context.train_step();
  testing::take_allocations();
  context.train_step();
  CHECK(testing::take_allocations().largest < 8 * 32 * sizeof(float));  // ids of one row
}

TEST_CASE("every forward of a probe's evaluations is recorded, each once") {
  RunConfig config = some_run();
  config.data.probe.config = {.task = ProbeTask::parity};
  config.data.probe.test_lengths = {64, 128};
  config.data.probe.examples = 40;
  config.evaluation.windows = GENERATE(0, 3, 40);
  CAPTURE(config.evaluation.windows);
  const auto tests = probe_tests(config);
  REQUIRE(tests.size() == (config.evaluation.windows == 3 ? 4 : 3));
  ParameterList list;
  const RunPrograms programs(config, 8, 1, list);
  for (const ProbeTest& test : tests)
    CHECK(programs.evaluation(test.rows, test.length).options().logits);
  if (tests.size() == 4) CHECK(tests.back() == ProbeTest{.length = 32, .rows = 3});
}

TEST_CASE("parameters, gradients and moments are counted, and the shards' share of moments") {
  RunConfig config = some_run();
  config.training.precision = GENERATE(Precision::f32, Precision::bf16_stored);
  ParameterList list;
  const RunPrograms programs(config, 8, 1, list);
  const auto elements = std::size_t(list.arena_elements());
  const std::size_t copies = config.training.precision == Precision::bf16_stored ? 2 : 0;
  CHECK(planned_step(config, 8).parameter_bytes == elements * (16 + copies));
  CHECK(planned_step(config, 8, 2).parameter_bytes == elements * (12 + copies));
  CHECK(planned_step(config, 8).program_bytes == programs.bytes());
}

TEST_CASE("a GPU's memory is planned with CUDA's own and the workspaces, a CPU's without") {
  RunConfig config = some_run();
  CHECK(planned_step(config, 8).opening_bytes == 0);
  config.device = Device::cuda;
  const PlannedStep gpu = planned_step(config, 8);
  CHECK(gpu.device_bytes() == gpu.parameter_bytes + gpu.program_bytes + (586 << 20));
}

TEST_CASE("executed FLOPs are those of every operator of a training step, recomputed ones too") {
  RunConfig config = some_run(any_architecture());
  CAPTURE(name_of(config.model.architecture));
  ParameterList list;
  const RunPrograms programs(config, 8, 1, list);
  const double executed = programs.executed_flops_per_token();
  CHECK(executed * 8 * 32 == Approx(programs.training().tape().total_cost().flops));
  CHECK(executed > 0);
  CHECK(planned_step(config, 4).executed_flops_per_token == Approx(executed).epsilon(0.01));
  config.training.recompute = Recompute::block;
  CHECK(planned_step(config, 8).executed_flops_per_token > 1.1 * executed);
}

TEST_CASE("a run logs its executed FLOPs beside those of the model") {
  const RunsFolder runs;
  const RunConfig config = runs.config("run", any_architecture());
  const RunContext context(config, {});
  const auto facts = context.facts();
  const double executed = std::stod(facts.at("executed_flops_per_token"));
  CHECK(executed == Approx(planned_step(config, 1).executed_flops_per_token).epsilon(0.01));
  CHECK(executed > std::stod(facts.at("flops_per_token")));
}

TEST_CASE("the largest micro-batch divides a batch evenly among the ranks, and fits") {
  const auto largest = [](std::int64_t rows, int ranks, std::int64_t most, std::int64_t room) {
    return largest_micro_batch(rows, ranks, most,
                               [room](std::int64_t each) { return each <= room; });
  };
  CHECK(largest(24, 1, 24, 100) == 24);
  CHECK(largest(24, 1, 24, 11) == 8);
  CHECK(largest(24, 1, 7, 100) == 6);
  CHECK(largest(24, 2, 24, 100) == 12);
  CHECK(largest(24, 3, 24, 5) == 4);
  CHECK(largest(7, 2, 7, 100) == 1);  // uneven, but there is no other way
  CHECK(largest(24, 1, 24, 0) == 0);
}

TEST_CASE("a run that does not fit is refused, and told the micro-batch that does") {
  const RunConfig config = some_run();
  const auto room_for = [&](std::int64_t micro_batch) {
    return planned_step(config, micro_batch).bytes();
  };
  const auto refusal = [&](const Placement& place, std::size_t room) {
    return message_of_error([&] {
      expect_to_fit(config, place, {.device = "a small GPU", .bytes = room, .is_open = true});
    });
  };
  const Placement eight{.micro_batch = 8};
  CHECK(refusal(eight, room_for(8)) == "");
  CHECK_THAT(refusal(eight, room_for(8) - 1), Catch::StartsWith("training.micro_batch: 8 takes ") &&
                                                  Catch::Contains("a small GPU has") &&
                                                  Catch::EndsWith("micro_batch: 4 fits"));
  CHECK_THAT(refusal(eight, room_for(1) - 1), Catch::Contains("no micro-batch fits") &&
                                                  Catch::Contains("training.recompute: block"));
  CHECK_THAT(refusal({.micro_batch = 8, .is_begun = true}, room_for(8) - 1),
             Catch::Contains("keeps the micro-batch that it began with"));
}

TEST_CASE("a GPU that is not open yet must have room for CUDA and the workspaces, too") {
  RunConfig config = some_run();
  config.device = Device::cuda;
  const std::size_t all = planned_step(config, 8).device_bytes();
  const auto refusal = [&](std::size_t room) {
    return message_of_error(
        [&] { expect_to_fit(config, {.micro_batch = 8}, {.device = "a GPU", .bytes = room}); });
  };
  CHECK(refusal(all) == "");
  CHECK_THAT(refusal(all - 1),
             Catch::Contains(" for activations, 586 MiB for CUDA (assumed) and workspaces"));
}

}  // namespace
}  // namespace metascale
