// What a run says of its machine: memory, energy, and that another processor went on with it.
#include <catch2/catch.hpp>

#include "core/heartbeat.hpp"
#include "core/yaml.hpp"
#include "experiments/run_context.hpp"
#include "experiments/trainer.hpp"
#include "experiments/training/usage.hpp"
#include "kernels/instructions.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using testing::has_event, testing::outcome_of, testing::RunsFolder;
using Facts = std::map<std::string, std::string>;

const double not_counted = std::nan("");

testing::Outcome go_on(const fs::path& folder) {
  REQUIRE(train(folder, {}) == ExitCode::good);
  return outcome_of(folder);
}

void stop_at_once(const fs::path& folder) {
  TrainHooks hooks;
  hooks.stop = [] { return StopRequest::save; };
  REQUIRE(train(folder, hooks) == ExitCode::saved);
}

// The newest checkpoint as if this processor had written it.
void pretend_to_be(const std::string& processor, const fs::path& folder, const RunConfig& config) {
  Checkpoints checkpoints(folder, config.model);
  TrainingState state = checkpoints.newest().value();
  RunContext context(config, state);
  checkpoints.load(state.step, context.parameters(), context.memory());
  state.processor = processor;
  checkpoints.save(state, context.parameters(), context.memory(), config.log);
}

TEST_CASE("energy is summed over the attempts, and the peak of memory is the largest of them") {
  const Facts first =
      usage_facts({}, true, {.peak_bytes = 5, .joules = 100}, {.peak_bytes = 7, .joules = 130});
  CHECK(first == Facts{{"peak_memory_bytes", "7"}, {"energy_joules", "30"}});
  const Facts second = usage_facts(first, false, {.peak_bytes = 1, .joules = 500},
                                   {.peak_bytes = 6, .joules = 512.5});
  CHECK(second == Facts{{"peak_memory_bytes", "7"}, {"energy_joules", "42.5"}});
  const Usage on_gpu{.peak_bytes = 9, .before_bytes = 3};
  CHECK(usage_facts(second, false, on_gpu, on_gpu).at("memory_before_bytes") == "3");
}

TEST_CASE("energy that one attempt did not count is not made up") {
  const Usage counted{.peak_bytes = 1, .joules = 10},
      uncounted{.peak_bytes = 1, .joules = not_counted};
  CHECK_FALSE(usage_facts({}, true, uncounted, uncounted).contains("energy_joules"));
  CHECK_FALSE(usage_facts({}, false, counted, counted).contains("energy_joules"));
  CHECK(usage_facts({{"energy_joules", "30"}}, false, uncounted, uncounted).at("energy_joules") ==
        "nan");
  CHECK(usage_facts({{"energy_joules", "nan"}}, false, counted, counted).at("energy_joules") ==
        "nan");
}

TEST_CASE("an attempt's energy is what was counted since it began, or missing") {
  const Usage begin{.peak_bytes = 1, .joules = 100}, now{.peak_bytes = 1, .joules = 130},
      uncounted{.peak_bytes = 1, .joules = not_counted};
  CHECK(joules_between(begin, now) == 30);
  CHECK_FALSE(joules_between(begin, uncounted));
  CHECK_FALSE(joules_between(uncounted, now));
}

TEST_CASE("a run on the CPU logs the peak of its memory and the processor, and no energy") {
  const RunsFolder runs;
  const auto facts = go_on(runs.write(runs.config("run"))).log.facts;
  const double peak = parse_number(facts.at("peak_memory_bytes")).value();
  CHECK(peak > 1 << 20);
  CHECK(peak <= double(peak_resident_bytes()));
  CHECK_FALSE(facts.contains("energy_joules"));
  CHECK_FALSE(facts.contains("memory_before_bytes"));
  CHECK_FALSE(read_heartbeat(runs.run("run")).value().joules);
  CHECK(facts.at("ranks") == "1");
  CHECK(facts.at("processor") == cpu_instructions());
}

TEST_CASE("a run that another processor goes on with says so, once per change") {
  const RunsFolder runs;
  const RunConfig config = runs.config("run");
  const fs::path folder = runs.write(config);
  stop_at_once(folder);
  pretend_to_be("scalar, oneDNN sse41", folder, config);
  stop_at_once(folder);
  const auto log = go_on(folder).log;  // its checkpoint is this processor's
  std::size_t events = 0;
  for (const Event& event : log.events) events += event.kind == "processor_changed";
  CHECK(events == 1);
  CHECK_THAT(log.facts.at("processor_changed"),
             Contains("scalar, oneDNN sse41 -> " + cpu_instructions() + " after step 1"));
}

TEST_CASE("a run that goes on where it began, or from an older checkpoint, tells of no change") {
  const RunsFolder runs;
  const RunConfig config = runs.config("run");
  const fs::path folder = runs.write(config);
  stop_at_once(folder);
  if (GENERATE(true, false)) pretend_to_be("", folder, config);  // written before it was stored
  const auto log = go_on(folder).log;
  CHECK_FALSE(has_event(log, "processor_changed"));
  CHECK_FALSE(log.facts.contains("processor_changed"));
}

TEST_CASE("the instructions that are used are some that the processor has") {
  const std::string words = cpu_instructions();
  CHECK_THAT(words, Contains(", oneDNN "));
  CHECK((words.starts_with("avx512,") == processor_has(Simd::avx512)));
  CHECK(processor_has(Simd::scalar));
}

}  // namespace
}  // namespace metascale
