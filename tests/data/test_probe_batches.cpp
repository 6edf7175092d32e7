// Examples in the form of a batch.
#include <catch2/catch.hpp>

#include "core/error.hpp"
#include "data/probe_batches.hpp"
#include "tests/data/batch_memory.hpp"

using namespace metascale;
using testing::BatchMemory;

TEST_CASE(
    "a probe's batch has weight 1 and the answer where one is asked, and weight 0 elsewhere") {
  const ProbeConfig config{.task = ProbeTask::mqar, .vocabulary = 64, .pairs = 4};
  const ProbeBatches batches(config, 32, 8, 5);
  BatchMemory memory(3, 32);
  batches.fill(16 + 2, memory.batch);  // rows 2 to 4 of step 2
  for (std::size_t row = 0; row < 3; ++row) {
    const ProbeExample example = Probe(config).example(32, 5, 18 + row);
    for (std::size_t t = 0; t < 32; ++t) {
      const std::size_t i = row * 32 + t;
      const bool asked = example.answers[t] >= 0;
      CHECK(memory.tokens[i] == example.tokens[t]);
      CHECK(memory.weights[i] == (asked ? 1.0f : 0.0f));
      CHECK(memory.targets[i] == (asked ? example.answers[t] : 0));
      CHECK(memory.segment_ids[i] == 0);
    }
  }
  CHECK(batches.scored() == 8 * 4);
}

TEST_CASE("a probe's digest tells steps, seeds and what came before apart") {
  const ProbeConfig config{.task = ProbeTask::s3};
  const ProbeBatches batches(config, 8, 4, 5);
  CHECK(batches.digest(0, 1) == ProbeBatches(config, 8, 4, 5).digest(0, 1));
  CHECK(batches.digest(0, 1) != batches.digest(0, 2));
  CHECK(batches.digest(0, 1) != batches.digest(7, 1));
  CHECK(batches.digest(0, 1) != ProbeBatches(config, 8, 4, 6).digest(0, 1));
}

TEST_CASE("training examples differ by run, those of the test do not") {
  CHECK(probe_seed("train", 1, 1) != probe_seed("train", 1, 2));
  CHECK(probe_seed("train", 1, 1) != probe_seed("train", 2, 1));
  CHECK(probe_seed("test", 1, 1) == probe_seed("test", 1, 2));
  CHECK(probe_seed("test", 1, 1) != probe_seed("validation", 1, 1));
  CHECK(probe_seed("test", 1, 1) != probe_seed("train", 1, 1));
}

TEST_CASE("memory of another length than the probe's is refused") {
  const ProbeBatches batches({.task = ProbeTask::s3}, 8, 4, 5);
  BatchMemory memory(2, 16);
  CHECK_THROWS_WITH(batches.fill(0, memory.batch), Catch::Contains("memory for 16"));
}
