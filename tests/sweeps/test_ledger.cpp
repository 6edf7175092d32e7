#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <fstream>

#include "core/atomic_file.hpp"
#include "core/journal.hpp"
#include "sweeps/ledger.hpp"
#include "sweeps/run_sweep.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/sweeps/definitions.hpp"
#include "tests/sweeps/program_folder.hpp"

using namespace metascale;
using testing::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

std::string id_of(const Resolution& resolution, std::size_t run) {
  return resolution.runs[run].config.id;
}

constexpr std::chrono::seconds timeout{std::int64_t(heartbeat_timeout)};

// The token file's .json, as far as the lock reads it.
void write_tokens(const fs::path& stem, const std::string& digest, int vocabulary = 257) {
  fs::create_directories(stem.parent_path());
  std::ofstream(stem.string() + ".json")
      << "{\"tokenizer\": {\"name\": \"bytes\", \"vocabulary\": " << vocabulary
      << "}, \"sha256\": {\"bin\": \"" << digest << "\"}}";
}

}  // namespace

TEST_CASE("ledger: a sweep's folder holds what was asked, what it became, and a folder per run") {
  const TemporaryFolder folder;
  Ledger ledger(folder.path());
  const Definition definition = small_definition();
  const Resolution resolution = resolve(definition);
  const LedgerChanges changes = ledger.update(definition, resolution);
  CHECK(changes.added == std::vector<std::string>{id_of(resolution, 0), id_of(resolution, 1)});
  for (const char* file : {"sweep.yaml", "sweep.lock.yaml", "plan.csv", "events.jsonl"})
    CHECK(fs::exists(folder.path() / file));
  const RunConfig config = read_run_config(ledger.run_folder(id_of(resolution, 0)) / "config.yaml");
  CHECK(config.id == id_of(resolution, 0));
  CHECK(config.data.train.is_absolute());
  CHECK(run_id(config) == config.id);
  // what was merged can be read again, and resolves to the same
  CHECK(id_of(resolve(read_definition(folder.path() / "sweep.yaml")), 1) == id_of(resolution, 1));
  const YamlNode lock = read_yaml(folder.path() / "sweep.lock.yaml");
  const YamlNode* pairs = lock.find("pairs");
  REQUIRE((pairs && pairs->items.size() == resolution.pairs.size()));
  const YamlNode* mismatch = pairs->items.at(0).find("mismatch");
  REQUIRE(mismatch);
  CHECK(std::stod(mismatch->text) == resolution.pairs.at(0).mismatch);
}

TEST_CASE("ledger: an id out of a file cannot lead out of the sweep's folder") {
  const TemporaryFolder folder;
  const Ledger ledger(folder.path());
  for (const char* id : {"", ".", "..", "../other", "a/../../b", "/etc"})
    CHECK_THROWS_WITH(ledger.run_folder(id), Catch::Contains("is no run's id"));
  CHECK(ledger.run_folder("a..b-s0") == folder.path() / "runs" / "a..b-s0");
}

TEST_CASE("ledger: the plan is a table with one line per run") {
  const TemporaryFolder folder;
  StepSeconds seconds(folder.path());
  const Resolution resolution = small_resolution();
  seconds.set(resolution.runs[0].config, 3600);
  const std::string table = plan_table(resolution, seconds);
  CHECK_THAT(table, Catch::StartsWith("id,arm,architecture,size,length,seed,role,parameters,"));
  CHECK(std::count(table.begin(), table.end(), '\n') == 3);
  CHECK_THAT(table, Catch::Contains("learning_rate,parent,hours\n"));
  const double steps =
      resolution.runs[0].tokens / double(resolution.runs[0].config.training.batch_tokens);
  CHECK_THAT(table, Catch::Contains(fmt::format(",{}\n", steps)));  // an hour each
}

TEST_CASE("ledger: only what is new is added, and nothing is deleted") {
  const TemporaryFolder folder;
  Ledger ledger(folder.path());
  const Definition two = small_definition({"axes.seed=[1, 2]"}),
                   other = small_definition({"axes.seed=[2, 3]"});
  ledger.update(two, resolve(two));
  const Resolution before = resolve(two), after = resolve(other);
  std::ofstream(ledger.run_folder(id_of(before, 2)) / "DONE");  // seed 2, first arm
  const LedgerChanges changes = ledger.update(other, after);
  CHECK(changes.added.size() == 2);
  CHECK(changes.done == std::vector<std::string>{id_of(before, 2)});
  CHECK(changes.unfinished == std::vector<std::string>{id_of(before, 3)});
  CHECK(changes.vanished.size() == 2);
  for (const PlannedRun& run : before.runs) CHECK(fs::exists(ledger.run_folder(run.config.id)));
}

TEST_CASE("ledger: a setting outside of the identity reaches unfinished runs, not finished ones") {
  const TemporaryFolder folder;
  Ledger ledger(folder.path());
  const Definition first = small_definition(),
                   changed = small_definition({"log.checkpoint_every=7 steps"});
  const Resolution resolution = resolve(first);
  ledger.update(first, resolution);
  std::ofstream(ledger.run_folder(id_of(resolution, 0)) / "DONE");
  const LedgerChanges changes = ledger.update(changed, resolve(changed));
  CHECK(changes.updated == std::vector<std::string>{id_of(resolution, 1)});
  CHECK(read_run_config(ledger.run_folder(id_of(resolution, 0)) / "config.yaml")
            .log.checkpoint_every == 0);
  CHECK(read_run_config(ledger.run_folder(id_of(resolution, 1)) / "config.yaml")
            .log.checkpoint_every == 7);
}

TEST_CASE("ledger: a trunk that has to go further is done no longer") {
  const TemporaryFolder folder;
  Ledger ledger(folder.path());
  const std::string wsd = "training.schedule={kind: wsd, warmup: 1%, decay: 10%}";
  const Definition two = small_definition({wsd, "axes.length=[1xC, 2xC]"}),
                   three = small_definition({wsd, "axes.length=[1xC, 2xC, 4xC]"});
  ledger.update(two, resolve(two));
  const std::string trunk = id_of(resolve(two), 0);
  for (const PlannedRun& run : resolve(two).runs)
    std::ofstream(ledger.run_folder(run.config.id) / "DONE");
  CHECK(ledger.update(two, resolve(two)).longer.empty());
  const LedgerChanges changes = ledger.update(three, resolve(three));
  CHECK(changes.longer.size() == 2);  // of each arm
  CHECK(changes.done.size() == 4);
  CHECK_FALSE(fs::exists(ledger.run_folder(trunk) / "DONE"));
  CHECK(read_run_config(ledger.run_folder(trunk) / "config.yaml").training.steps ==
        resolve(three).runs[0].config.training.steps);
  CHECK_THAT(read_file(folder.path() / "events.jsonl"), Catch::Contains("\"continued\""));
  // a sweep that became shorter again leaves it alone
  std::ofstream(ledger.run_folder(trunk) / "DONE");
  CHECK(ledger.update(two, resolve(two)).longer.empty());
}

TEST_CASE("ledger: a finished run with other evaluation settings is told, and left alone") {
  const TemporaryFolder folder;
  Ledger ledger(folder.path());
  const Definition first = small_definition(),
                   changed = small_definition({"evaluation.final=5 windows"});
  const Resolution resolution = resolve(first);
  ledger.update(first, resolution);
  std::ofstream(ledger.run_folder(id_of(resolution, 0)) / "DONE");
  CHECK(ledger.compare(resolution).evaluated_otherwise.empty());
  const LedgerChanges changes = ledger.update(changed, resolve(changed));
  CHECK(changes.done == std::vector<std::string>{id_of(resolution, 0)});
  CHECK(changes.evaluated_otherwise == changes.done);
}

TEST_CASE("ledger: other token files than those that the sweep began with are refused") {
  const TemporaryFolder folder;
  const std::string train = (folder.path() / "tokens/train").string();
  write_tokens(train, "aaaaaaaaaaaaaaaa");
  const Definition definition = small_definition({"data.train=" + train});
  Ledger ledger(folder.path() / "results");
  ledger.update(definition, resolve(definition));
  ledger.update(definition, resolve(definition));
  write_tokens(train, "bbbbbbbbbbbbbbbb");
  CHECK_THAT(
      refusal_of([&] { ledger.update(definition, resolve(definition)); }),
      Catch::Contains("data: the train tokens in") && Catch::Contains("(SHA-256 bbbbbbbbbbbb"));
}

TEST_CASE("resolve: token files that are there must fit the vocabulary and the tokenizer") {
  const TemporaryFolder folder;
  const std::string train = (folder.path() / "train").string();
  write_tokens(train, "a", 300);
  CHECK_THAT(
      refusal_of([&] { small_resolution({"data.train=" + train}); }),
      Catch::Contains("257 is too small: ") && Catch::Contains("holds 300 ids; write 300 or more"));
  CHECK_NOTHROW(small_resolution({"data.train=" + train, "data.vocabulary=300"}));
  CHECK_THAT(
      refusal_of([&] {
        small_resolution({"data.train=" + train, "data.tokenizer=other", "data.vocabulary=300"});
      }),
      Catch::Contains("was made by the tokenizer 'bytes', not by 'other'"));
}

TEST_CASE("status: DONE and FAILED decide, state.json tells the rest") {
  const TemporaryFolder folder;
  const fs::path run = folder.path() / "a-run";
  fs::create_directories(run / "attempts/0001");
  CHECK(read_status(run).phase() == RunPhase::pending);
  write_heartbeat(run, {.phase = RunPhase::running,
                        .step = 5,
                        .steps = 10,
                        .loss = 2.5,
                        .tokens_per_second = 1234,
                        .attempt = 1});
  RunStatus status = read_status(run);
  CHECK(status.is_running());
  CHECK(status.last.step == 5);
  CHECK(status.attempts == 1);
  CHECK(status_text(status) == "loss 2.5000, " + std::string("1.23k tok/s"));
  std::ofstream(run / "FAILED") << "step 6: the loss is not finite\n";
  status = read_status(run);
  CHECK(status.phase() == RunPhase::failed);
  CHECK(status.reason == "step 6: the loss is not finite");
  std::ofstream(run / "DONE");
  CHECK(read_status(run).phase() == RunPhase::done);
}

TEST_CASE("status: a run that says running and is silent is lost") {
  const TemporaryFolder folder;
  write_heartbeat(folder.path(), {.phase = RunPhase::running});
  const fs::path word = folder.path() / "state.json";
  fs::last_write_time(word, fs::last_write_time(word) - 10 * timeout);
  CHECK(read_status(folder.path()).presence == Presence::lost);
  CHECK(std::string(read_status(folder.path()).word()) == "lost");
  write_heartbeat(folder.path(), {.phase = RunPhase::saved, .time = 1});
  CHECK(read_status(folder.path()).presence == Presence::as_said);
}

TEST_CASE("status: of a run on another machine the dates of files tell, not that machine's clock") {
  const Folder folder;
  const Job job = folder.job("a");
  folder.lease_far_away(job);
  for (const double wrong : {-10 * heartbeat_timeout, 10 * heartbeat_timeout}) {
    write_heartbeat(job.folder, {.phase = RunPhase::running, .time = seconds_since_1970() + wrong});
    CHECK(read_status(job.folder).is_running());
    const fs::path word = job.folder / "state.json";
    fs::last_write_time(word, fs::last_write_time(word) - 2 * timeout);
    const RunStatus status = read_status(job.folder);
    CHECK(status.presence == Presence::lost);
    CHECK(status.silent_seconds == Approx(2 * heartbeat_timeout).margin(60));
  }
}

TEST_CASE("status: a damaged state.json counts as none") {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "state.json") << "{\"state\": \"runn";
  CHECK(read_status(folder.path()).phase() == RunPhase::pending);
}

TEST_CASE("status: totals count each state") {
  std::vector<RunStatus> runs(3);
  runs[1].last.phase = runs[2].last.phase = RunPhase::done;
  CHECK(totals_text(runs) == "1 pending, 2 done");
  CHECK(totals_text({}) == "no runs");
}

TEST_CASE("tuning: the trials' validation losses choose, out of their own logs") {
  const TemporaryFolder folder;
  Ledger ledger(folder.path());
  const Definition definition =
      small_definition({"match.tuning={trials_per_arm: 2, over: {learning_rate: [1e-3, 2e-3]}}"});
  const Resolution trials = resolve(definition);
  ledger.update(definition, trials);
  CHECK(known_choices(definition, ledger).empty());
  for (const PlannedRun& run : trials.runs) {
    if (run.config.role != Role::trial) continue;
    const fs::path at = ledger.run_folder(run.config.id);
    const double rate = run.config.training.optimizer.learning_rate;
    RunLog log;
    log.run_id = run.config.id;
    log.steps.push_back({.step = run.config.training.steps});
    log.evaluations.push_back({.step = run.config.training.steps,
                               .split = "validation",
                               .is_final = true,
                               .tokens = 10,
                               .nats = rate == 2e-3 ? 20.0 : 30.0});
    write_run_file(at / "run.h5", log);
    std::ofstream(at / "DONE");
  }
  const TuningChoices choices = known_choices(definition, ledger);
  CHECK(choices.at("rwkv7").at("learning_rate") == 2e-3);
  const Resolution resolution = resolve_with_ledger(definition, ledger);
  CHECK_FALSE(resolution.runs.back().waits_for_tuning);
  CHECK(resolution.runs.back().config.training.optimizer.learning_rate == Approx(2e-3));
}

TEST_CASE("budget: a plan above it is refused where it says so") {
  const Definition strict = small_definition({"budget={gpu_hours: 10, refuse_above: true}"});
  CHECK_NOTHROW(check_budget(strict, 9, 1000));
  CHECK_THAT(refusal_of([&] { check_budget(strict, 11, 0); }),
             Catch::Contains("budget: the plan needs 11.0 GPU hours, the budget has 10.0"));
  CHECK_NOTHROW(check_budget(small_definition({"budget={gpu_hours: 10}"}), 11, 0));
}
