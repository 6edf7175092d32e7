// What a run does about losses that jump or are no numbers: stop, skip, roll back; every action is
// logged.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "core/atomic_file.hpp"
#include "core/journal.hpp"
#include "core/log_differences.hpp"
#include "experiments/training/spike.hpp"
#include "tests/experiments/trained.hpp"
#include "tests/support/files.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using testing::error_of, testing::expect_equal_bits, testing::has_event, testing::outcome_of,
    testing::RunsFolder, testing::trained;

// At a rate at which nothing is learnt losses jump by 0.3 %, and what is 0.4 % above the median of
// the last six counts as a spike: some of 24 steps.
RunConfig jumpy(const RunsFolder& runs, OnSpike action, const std::string& id = "run") {
  RunConfig config = runs.config(id);
  config.training.optimizer.learning_rate = 1e-8;
  config.training.optimizer.final_learning_rate = 1e-9;
  config.training.spike = {.action = action, .factor = 1.004, .window = 6};
  config.training.roll_back = {.skip_batches = 1, .most = 100};
  config.evaluation.every_steps = 0;
  config.data.validation.clear(), config.data.test.clear();
  config.log = {.checkpoint_every = 4, .keep = 1};
  return config;
}

std::vector<Event> events_of(const RunLog& log, const std::string& kind) {
  std::vector<Event> found;
  for (const Event& event : log.events)
    if (event.kind == kind) found.push_back(event);
  return found;
}

TEST_CASE("a spike is a loss above the factor times the median of the window, once it is full") {
  SpikeDetector detector({.action = OnSpike::skip, .factor = 2, .window = 3});
  detector.add(1);
  detector.add(5);
  CHECK_FALSE(detector.is_spike(100));
  detector.add(2);
  CHECK_FALSE(detector.is_spike(4));
  CHECK(detector.is_spike(4.1));
  detector.add(100);  // a spike is not remembered
  CHECK(detector.is_spike(4.1));
}

TEST_CASE("a detector that is told what another remembers decides alike") {
  SpikeDetector first({.action = OnSpike::skip, .factor = 1.5, .window = 2}), second = first;
  first.restart({{.step = 1, .loss = 3}, {.step = 2, .loss = 2}, {.step = 3, .loss = 2.5}});
  second.remember(first.memory());
  CHECK(second.is_spike(4) == first.is_spike(4));
  CHECK(second.memory() == first.memory());
}

TEST_CASE("spikes that are ignored change no bit") {
  const RunsFolder runs;
  RunConfig plain = jumpy(runs, OnSpike::ignore, "plain");
  const auto ignored = trained(runs, plain);
  CHECK_FALSE(has_event(ignored.log, "spike"));
  plain.id = "default";
  plain.training.spike = {};
  expect_equal_bits(ignored, trained(runs, plain));
}

TEST_CASE("a spike stops a run whose policy says so, and FAILED tells which step") {
  const RunsFolder runs;
  const fs::path folder = runs.write(jumpy(runs, OnSpike::stop));
  const std::string message = error_of(ExitCode::run_failed, [&] { train(folder, {}); });
  CHECK_THAT(message, Catch::Contains("times the median of the last 6 steps"));
  CHECK(read_file(folder / "FAILED") == message + "\n");
  CHECK(events_of(read_run_file(folder / "run.h5"), "spike").size() == 1);
}

TEST_CASE("a spike that is skipped is logged and updates nothing") {
  const RunsFolder runs;
  const auto outcome = trained(runs, jumpy(runs, OnSpike::skip));
  const auto spikes = events_of(outcome.log, "spike"), skips = events_of(outcome.log, "skip");
  REQUIRE_FALSE(spikes.empty());
  CHECK(skips.size() == spikes.size());
  CHECK(outcome.log.steps.size() == 24);
}

TEST_CASE("after a spike that is skipped the weights are those from before it") {
  const RunsFolder runs;
  const auto of_steps =
      [&](std::int64_t steps) {  // at a constant rate: the first steps are the same
        RunConfig config = jumpy(runs, OnSpike::skip, fmt::format("steps-{}", steps));
        config.training.steps = steps;
        config.training.schedule.kind = ScheduleKind::constant;
        return config;
      };
  const auto spikes = events_of(trained(runs, of_steps(24)).log, "spike");
  REQUIRE_FALSE(spikes.empty());
  const std::int64_t first = spikes.front().step;
  CHECK((trained(runs, of_steps(first - 2)).weights != trained(runs, of_steps(first - 1)).weights));
  CHECK((trained(runs, of_steps(first - 1)).weights == trained(runs, of_steps(first)).weights));
}

TEST_CASE(
    "a run rolls back to its last scheduled checkpoint and leaves out the batches since then") {
  const RunsFolder runs;
  const auto outcome = trained(runs, jumpy(runs, OnSpike::roll_back));
  const auto backs = events_of(outcome.log, "roll_back");
  REQUIRE_FALSE(backs.empty());
  CHECK(backs.size() == events_of(outcome.log, "spike").size());
  CHECK_THAT(backs.front().message, Catch::Contains(fmt::format("to step {}", backs.front().step)));
  CHECK(backs.front().step % 4 == 0);
  REQUIRE(outcome.log.steps.size() == 24);  // each once
  const auto plain = trained(runs, jumpy(runs, OnSpike::ignore, "plain"));
  const std::size_t kept = std::size_t(backs.front().step);
  CHECK(outcome.log.steps[kept - 1].digest == plain.log.steps[kept - 1].digest);
  CHECK(outcome.log.steps[kept].digest != plain.log.steps[kept].digest);
  CHECK(outcome.log.steps[kept].tokens == plain.log.steps[kept].tokens);
  CHECK(log_differences(outcome.log, read_journal(runs.run("run") / "journal.jsonl"),
                        LogPart::everything) == std::vector<std::string>{});
}

TEST_CASE("a run that rolls back equals itself when it is stopped in between, bit for bit") {
  const RunsFolder runs;
  const auto undisturbed = trained(runs, jumpy(runs, OnSpike::roll_back, "undisturbed"));
  REQUIRE(has_event(undisturbed.log, "roll_back"));
  const fs::path folder = runs.write(jumpy(runs, OnSpike::roll_back, "stopped"));
  ExitCode code = ExitCode::saved;
  for (int starts = 0; code == ExitCode::saved && starts < 200; ++starts) {
    int left = 5;  // more than from one scheduled checkpoint to the next
    code =
        train(folder, {.stop = [&] { return --left > 0 ? StopRequest::none : StopRequest::save; }});
  }
  REQUIRE(code == ExitCode::good);
  expect_equal_bits(undisturbed, outcome_of(folder));
}

RunConfig hopeless(const RunsFolder& runs) {
  RunConfig config = runs.config("run");
  config.training.non_finite = NonFinite::roll_back;
  config.training.roll_back.most = 2;
  config.training.optimizer.learning_rate = 10;
  config.training.optimizer.final_learning_rate = 10;
  config.training.optimizer.weight_decay = 100;  // each update multiplies the weights by -999
  return config;
}

TEST_CASE("a run that is no number again and again is rolled back only so often") {
  const RunsFolder runs;
  const fs::path folder = runs.write(hopeless(runs));
  const std::string message = error_of(ExitCode::run_failed, [&] { train(folder, {}); });
  CHECK_THAT(message,
             Catch::Contains("2 times already") && Catch::Contains("policy.roll_back.most"));
  const RunLog log = read_run_file(folder / "run.h5");
  CHECK(events_of(log, "roll_back").size() == 2);
  CHECK(events_of(log, "non_finite").size() == 3);
}

TEST_CASE("a run that is stopped between its roll-backs is rolled back no more often") {
  const RunsFolder runs;
  const fs::path folder = runs.write(hopeless(runs));
  int starts = 0;
  const TrainHooks stopped_at_once{.stop = [] { return StopRequest::save; }};
  error_of(ExitCode::run_failed, [&] {
    while (train(folder, stopped_at_once) == ExitCode::saved && starts < 100) ++starts;
  });
  CHECK(starts > 2);
  CHECK(events_of(read_run_file(folder / "run.h5"), "roll_back").size() == 2);
}

}  // namespace
}  // namespace metascale
