// The promises of a run: the same bits every time, however often it is stopped.
#include <fmt/format.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <random>

#include "core/atomic_file.hpp"
#include "core/heartbeat.hpp"
#include "core/journal.hpp"
#include "core/log_differences.hpp"
#include "experiments/run_context.hpp"
#include "tests/experiments/small_model.hpp"
#include "tests/experiments/trained.hpp"
#include "tests/support/files.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using testing::any_architecture, testing::bytes_of, testing::checkpoint_steps, testing::error_of,
    testing::expect_equal_bits, testing::has_event, testing::outcome_of, testing::RunsFolder,
    testing::stop_after, testing::trained;

double mean_loss(const RunLog& log, std::size_t first, std::size_t count) {
  double sum = 0;
  for (std::size_t i = first; i < first + count; ++i) sum += log.steps[i].loss / double(count);
  return sum;
}

TEST_CASE("the loss of every architecture falls, and the same run twice gives the same bits") {
  const RunsFolder runs;
  const Architecture architecture = any_architecture();
  CAPTURE(name_of(architecture));
  const auto first = trained(runs, runs.config("first", architecture));
  CHECK(first.log.steps.size() == 24);
  CHECK(first.log.steps[0].loss == Approx(std::log(257)).epsilon(0.1));  // it knows nothing yet
  CHECK(mean_loss(first.log, 20, 4) < 0.7 * mean_loss(first.log, 0, 4));
  CHECK(fs::exists(runs.run("first") / "DONE"));
  expect_equal_bits(first, trained(runs, runs.config("second", architecture)));
}

TEST_CASE("the log says on which machine and with which program and libraries a run was trained") {
  const RunsFolder runs;
  RunConfig config = runs.config("run");
  config.threads = 1;
  auto words = trained(runs, config).log.environment;
  for (const char* name :
       {"host", "kernel", "cpu", "threads", "version", "commit", "build_type", "compiler", "onednn",
        "hdf5", "xxhash", "fmt", "nlohmann_json", "spdlog", "yaml-cpp", "zstd"}) {
    CAPTURE(name);
    CHECK_FALSE(words[name].empty());
  }
  CHECK(words["threads"] == "1");
  char host[256] = {};
  REQUIRE(::gethostname(host, sizeof host - 1) == 0);
  CHECK(words["host"] == host);
  CHECK_THAT(words["kernel"], Catch::StartsWith("Linux "));
  CHECK_THAT(words["onednn"], Catch::Matches("[0-9]+\\.[0-9]+\\.[0-9]+"));
}

TEST_CASE("the log of a sweep's run tells how far it is from what it was matched to") {
  const RunsFolder runs;
  RunConfig config = runs.config("run");
  CHECK_FALSE(trained(runs, config).log.facts.contains("match_residual"));  // it aimed at nothing
  config.id = "aimed";
  config.match["match_target"] = "30060";
  const std::string text = to_yaml(config);
  CHECK(std::stod(trained(runs, config).log.facts.at("match_residual")) == Approx(-60.0 / 30060));
  CHECK(text.find("match_residual") == std::string::npos);  // no part of a configuration
}

TEST_CASE("another seed gives another run") {
  const RunsFolder runs;
  RunConfig config = runs.config("other");
  config.seed = 2;
  const auto one = trained(runs, runs.config("one")), other = trained(runs, config);
  CHECK(one.log.steps[0].digest != other.log.steps[0].digest);
  CHECK((one.weights != other.weights));
}

TEST_CASE("a run that is stopped and started again equals one that was not, bit for bit") {
  const RunsFolder runs;
  const Architecture architecture = any_architecture();
  CAPTURE(name_of(architecture));
  const auto undisturbed = trained(runs, runs.config("undisturbed", architecture));
  const fs::path folder = runs.write(runs.config("stopped", architecture));
  std::mt19937 random(unsigned(architecture) + 5);
  std::int32_t starts = 1;
  for (; starts <= 4; ++starts) {  // they do not come to the end: 4 times at most 5 of 24 steps
    CHECK(train(folder, stop_after(1 + std::int64_t(random() % 5))) == ExitCode::saved);
    CHECK_FALSE(fs::exists(folder / "DONE"));
    CHECK(read_heartbeat(folder)->phase == RunPhase::saved);
  }
  CHECK(train(folder, {}) == ExitCode::good);
  const auto stopped = outcome_of(folder);
  expect_equal_bits(undisturbed, stopped);
  CHECK(stopped.log.steps.back().attempt == starts);
  CHECK(log_differences(stopped.log, read_journal(folder / "journal.jsonl"), LogPart::everything) ==
        std::vector<std::string>{});
}

TEST_CASE("a run whose process vanished goes on from its last checkpoint") {
  const RunsFolder runs;
  const auto undisturbed = trained(runs, runs.config("undisturbed"));
  const fs::path folder = runs.write(runs.config("vanished"));
  struct Vanished {};
  TrainHooks hooks;
  hooks.on_step = [](const StepRow& row) {
    if (row.step == 15) throw Vanished{};  // checkpoints are at 6 and 12
  };
  CHECK_THROWS_AS(train(folder, hooks), Vanished);
  CHECK(train(folder, {}) == ExitCode::good);
  const auto resumed = outcome_of(folder);
  expect_equal_bits(undisturbed, resumed);
  CHECK(resumed.log.steps[11].attempt == 1);
  CHECK(resumed.log.steps[12].attempt == 2);
}

TEST_CASE("an interrupt saves too and says so") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run"));
  CHECK(train(folder, stop_after(3, StopRequest::interrupt)) == ExitCode::interrupted);
  CHECK(checkpoint_steps(folder) == std::vector<std::int64_t>{3});
}

TEST_CASE("a run that is stopped in its final evaluation makes it anew, once") {
  const RunsFolder runs;
  const auto undisturbed = trained(runs, runs.config("undisturbed"));
  const fs::path folder = runs.write(runs.config("stopped"));
  CHECK(train(folder, stop_after(24 + 4)) ==
        ExitCode::saved);  // it is asked once per step and batch
  CHECK(checkpoint_steps(folder).back() == 24);
  CHECK(outcome_of(folder).log.evaluations.size() == 2);
  CHECK(train(folder, {}) == ExitCode::good);
  expect_equal_bits(undisturbed, outcome_of(folder));
}

TEST_CASE("a run that goes on with its final evaluation alone keeps its loss, and has no rate") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("stopped"));
  REQUIRE(train(folder, stop_after(24 + 4)) == ExitCode::saved);
  std::string announced;
  TrainHooks hooks;
  hooks.on_final_evaluation = [&](const std::string& split) { announced = split; };
  CHECK(train(folder, hooks) == ExitCode::good);
  CHECK(announced == "test");
  const auto word = read_heartbeat(folder);
  REQUIRE(word);
  CHECK(word->phase == RunPhase::done);
  CHECK(word->loss == outcome_of(folder).log.steps.back().loss);
  CHECK(std::isnan(word->tokens_per_second));
}

TEST_CASE("a run that is done does nothing when it is started again") {
  const RunsFolder runs;
  trained(runs, runs.config("run"));
  const std::string journal = bytes_of(runs.run("run") / "journal.jsonl");
  CHECK(train(runs.run("run"), {}) == ExitCode::good);
  CHECK((bytes_of(runs.run("run") / "journal.jsonl") == journal));
}

TEST_CASE("a damaged checkpoint costs some steps and no bit") {
  const RunsFolder runs;
  const auto undisturbed = trained(runs, runs.config("undisturbed"));
  const fs::path folder = runs.write(runs.config("damaged"));
  CHECK(train(folder, stop_after(13)) == ExitCode::saved);
  fs::resize_file(folder / "checkpoints/step-0000000013/model.safetensors", 1000);
  CHECK(train(folder, {}) == ExitCode::good);
  const auto resumed = outcome_of(folder);
  expect_equal_bits(undisturbed, resumed);
  CHECK(has_event(resumed.log, "damaged_checkpoint"));
}

TEST_CASE("a journal that a full disk cut within its first line does not stop a run for ever") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run"));
  std::ofstream(folder / "journal.jsonl") << R"({"row":"header","schema":1,"run_)";
  CHECK(train(folder, {}) == ExitCode::good);
  CHECK(outcome_of(folder).log.steps.size() == 24);
}

// ---- what may change bits is kept

TEST_CASE("a resumed run keeps the threads and the micro-batch that it began with") {
  const RunsFolder runs;
  const auto undisturbed = trained(runs, runs.config("undisturbed"));
  RunConfig config = runs.config("resumed");
  CHECK(train(runs.write(config), stop_after(10)) == ExitCode::saved);
  config.threads = 2;
  config.training.micro_batch = 2;
  const auto resumed = trained(runs, config);
  CHECK(resumed.log.facts.at("threads") == "1");
  CHECK(resumed.log.facts.at("micro_batch") == "8");
  expect_equal_bits(undisturbed, resumed);
}

TEST_CASE("one and two threads give the same bits") {
  const RunsFolder runs;
  const Architecture architecture = any_architecture();
  CAPTURE(name_of(architecture));
  RunConfig two = runs.config("two", architecture);
  two.threads = 2;
  expect_equal_bits(trained(runs, runs.config("one", architecture)), trained(runs, two));
}

TEST_CASE("smaller micro-batches see the same tokens and change the loss by rounding alone") {
  const RunsFolder runs;
  const Architecture architecture = any_architecture();
  const auto whole = trained(runs, runs.config("whole", architecture));
  RunConfig split = runs.config("split", architecture);
  split.training.micro_batch = 2;
  const auto parts = trained(runs, split);
  for (std::size_t i = 0; i < 24; ++i) {
    CHECK(whole.log.steps[i].digest == parts.log.steps[i].digest);
    // Rounding grows along a trajectory: steps that had little time to grow are held to less.
    CHECK(whole.log.steps[i].loss == Approx(parts.log.steps[i].loss).epsilon(i < 4 ? 1e-6 : 1e-4));
  }
}

TEST_CASE("recomputing activations changes no bit of a run") {
  const RunsFolder runs;
  RunConfig config = runs.config("recomputed", Architecture::meta_state);
  config.training.recompute = Recompute::block;
  expect_equal_bits(trained(runs, runs.config("kept", Architecture::meta_state)),
                    trained(runs, config));
}

// ---- data

TEST_CASE("a run does not go on with other tokens than it began with") {
  const RunsFolder runs;
  RunConfig config = runs.config("run");
  CHECK(train(runs.write(config), stop_after(3)) == ExitCode::saved);
  config.data.train = runs.tokens("validation");
  const fs::path folder = runs.write(config);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { train(folder, {}); }),
             Catch::Contains("not the tokens that this run was trained on"));
}

TEST_CASE("a checkpoint of another architecture is refused, and the log is left as it was") {
  const RunsFolder runs;
  CHECK(train(runs.write(runs.config("run")), stop_after(3)) == ExitCode::saved);
  const std::string journal = bytes_of(runs.run("run") / "journal.jsonl");
  const fs::path folder = runs.write(runs.config("run", Architecture::transformer));
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { train(folder, {}); }),
             Catch::Contains("of another model") && Catch::Contains("rwkv7") &&
                 Catch::Contains("transformer"));
  CHECK((bytes_of(folder / "journal.jsonl") == journal));
}

TEST_CASE("a vocabulary that is too small for the tokens is refused") {
  const RunsFolder runs;
  RunConfig config = runs.config("run");
  config.model.vocabulary = 200;
  const fs::path folder = runs.write(config);
  CHECK_THAT(error_of(ExitCode::usage, [&] { train(folder, {}); }),
             Catch::Contains("200") && Catch::Contains("257"));
}

TEST_CASE("the chunked form of the recurrence is refused on the CPU") {
  const RunsFolder runs;
  RunConfig config = runs.config("run");
  config.training.wkv = WkvForm::chunked;
  const fs::path folder = runs.write(config);
  CHECK_THAT(error_of(ExitCode::usage, [&] { train(folder, {}); }),
             Catch::Contains("training.wkv: chunked") && Catch::Contains("use scan or auto"));
}

// ---- evaluation

Evaluation evaluated(const RunConfig& config) {
  RunContext context(config, {});
  initialise(context.parameters(), context.memory(), 1);
  return context.evaluate_split("validation", true, [] { return true; }).value();
}

TEST_CASE("an evaluation's totals are the sums over its domains, segments and positions") {
  const RunsFolder runs;
  const Evaluation result = evaluated(runs.config("run", any_architecture()));
  const auto expect_sums = [&](const auto& rows, bool has_bytes) {
    std::int64_t tokens = 0, bytes = 0;
    double nats = 0;
    for (const auto& row : rows) {
      tokens += row.tokens, nats += row.nats;
      if constexpr (requires { row.bytes; }) bytes += row.bytes;
    }
    CHECK(tokens == result.tokens);
    CHECK(nats == Approx(result.nats).epsilon(1e-12));
    if (has_bytes) CHECK(bytes == result.bytes);
  };
  CHECK(result.domains.size() == 2);
  CHECK(result.tokens > 1000);
  CHECK(result.tokens == result.bytes);  // bytes are the tokens here, ends of documents unscored
  expect_sums(result.domains, true);
  expect_sums(result.segments, true);
  expect_sums(result.positions, false);
  CHECK(result.positions.back().last == 31);
  CHECK(result.coverage == "all");
}

TEST_CASE("an evaluation does not depend on how many rows are executed at once") {
  const RunsFolder runs;
  RunConfig config = runs.config("run", any_architecture());
  const Evaluation eight = evaluated(config);
  config.training.micro_batch = GENERATE(1, 2);
  const Evaluation few = evaluated(config);
  CHECK(few.digest == eight.digest);
  CHECK(few.tokens == eight.tokens);
  CHECK(few.bytes == eight.bytes);
  CHECK(few.nats == Approx(eight.nats).epsilon(1e-6));
  REQUIRE(few.segments.size() == eight.segments.size());
  for (std::size_t i = 0; i < few.segments.size(); ++i)
    CHECK(few.segments[i].nats == Approx(eight.segments[i].nats).epsilon(1e-5));
}

TEST_CASE("periodic evaluations take the chosen windows, and keep no segments") {
  const RunsFolder runs;
  const RunLog log = trained(runs, runs.config("run")).log;
  REQUIRE(log.evaluations.size() == 3);  // at 8 and 16 on validation, at 24 on test
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(log.evaluations[i].step == std::int64_t(8 * (i + 1)));
    CHECK(log.evaluations[i].split == "validation");
    CHECK_THAT(log.evaluations[i].coverage, Catch::StartsWith("16 of "));
    CHECK(log.evaluations[i].segments.empty());
  }
  CHECK(log.evaluations[2].split == "test");
  CHECK(log.evaluations[2].is_final);
  CHECK_FALSE(log.evaluations[2].segments.empty());
}

TEST_CASE("the test split is opened once, at the end") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run")), hidden = runs.path() / "hidden";
  const auto move_test_files = [&](const fs::path& from, const fs::path& to) {
    fs::create_directories(to);
    for (const char* ending : {".bin", ".idx", ".documents", ".json"})
      fs::rename(from / (std::string("test") + ending), to / (std::string("test") + ending));
  };
  move_test_files(runs.path() / "tokens", hidden);
  TrainHooks hooks;
  hooks.on_step = [&](const StepRow& row) {
    if (row.step == 24) move_test_files(hidden, runs.path() / "tokens");
  };
  CHECK(train(folder, hooks) == ExitCode::good);
  const auto once = outcome_of(folder);

  // A start after the evaluation was logged, but before the run was marked as done.
  fs::remove_all(runs.tokens("test").parent_path() / "test.bin");
  fs::remove(folder / "DONE");
  fs::remove(folder / "run.h5");
  CHECK(train(folder, {}) == ExitCode::good);
  const auto twice = outcome_of(folder);
  expect_equal_bits(once, twice);
  CHECK(twice.log.facts.at("evaluation_digest") == once.log.facts.at("evaluation_digest"));
}

// ---- numbers that are not finite

RunConfig exploding(const RunsFolder& runs, NonFinite policy) {
  RunConfig config = runs.config("run");
  config.training.non_finite = policy;
  config.training.optimizer.learning_rate = 10;
  config.training.optimizer.final_learning_rate = 10;
  config.training.optimizer.weight_decay = 100;  // each update multiplies the weights by -999
  return config;
}

TEST_CASE("a run stops at the first step that is not finite, and says which in FAILED") {
  const RunsFolder runs;
  const fs::path folder = runs.write(exploding(runs, NonFinite::stop));
  const std::string message = error_of(ExitCode::run_failed, [&] { train(folder, {}); });
  const RunLog log = read_run_file(folder / "run.h5");
  const std::int64_t step = log.steps.back().step;
  CHECK(step < 24);
  CHECK_THAT(message, Catch::Contains(fmt::format("step {}", step)) &&
                          Catch::Contains("policy.non_finite: skip"));
  CHECK(read_file(folder / "FAILED") == message + "\n");
  CHECK(read_heartbeat(folder)->phase == RunPhase::failed);
  CHECK(has_event(log, "non_finite"));
  CHECK_FALSE(fs::exists(folder / "DONE"));
}

TEST_CASE("with policy skip a run logs the step, leaves its weights alone and goes on") {
  const RunsFolder runs;
  const auto of_steps = [&](const std::string& id, std::int64_t steps) {
    RunConfig config = exploding(runs, NonFinite::skip);
    config.id = id;
    config.training.steps = steps;
    config.training.schedule.kind = ScheduleKind::constant;
    config.evaluation.every_steps = 0;
    config.data.test.clear(),
        config.data.validation.clear();  // a loss that is NaN is not evaluated
    return config;
  };
  const auto whole = trained(runs, of_steps("whole", 24));
  CHECK(whole.log.steps.size() == 24);
  CHECK_FALSE(std::isfinite(whole.log.steps.back().loss));
  std::vector<std::int64_t> bad;
  for (const Event& event : whole.log.events)
    if (event.kind == "non_finite") bad.push_back(event.step);
  REQUIRE(bad.size() == std::size_t(24 - bad.front() + 1));  // from the first one on all are
  CHECK((trained(runs, of_steps("good", bad.front() - 1)).weights == whole.weights));
}

}  // namespace
}  // namespace metascale
