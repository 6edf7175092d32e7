#include <catch2/catch.hpp>
#include <fstream>
#include <limits>

#include "analysis/collect.hpp"
#include "core/error.hpp"
#include "core/heartbeat.hpp"
#include "tests/support/analysis_fixture.hpp"

using namespace metascale;
namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder()
      : path_(fs::temp_directory_path() /
              ("metascale-collect-" + std::to_string(std::random_device{}()))) {
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }
  fs::path run(const std::string& name) const {
    fs::create_directories(path_ / "runs" / name);
    return path_ / "runs" / name;
  }

 private:
  fs::path path_;
};

void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

RunLog one_log() {
  fixture::SweepTruth truth;
  truth.steps = 50, truth.documents = 12;
  return fixture::run_log(truth, truth.arms[0], truth.sizes[0], "1xC", 1);
}

const Run& named(const Collection& collection, const std::string& id) {
  for (const Run& run : collection.runs)
    if (run.id == id) return run;
  throw Error("no run " + id);
}

}  // namespace

TEST_CASE("a log in memory is condensed to what a report needs") {
  const Run run = summarise(one_log(), {});
  CHECK(run.state == RunState::done);
  CHECK(run.steps == 50);
  CHECK(run.documents.size() == 12);
  CHECK(run.curve.size() == 50);
  CHECK(run.log.steps.empty());
  CHECK(run.final_evaluation()->segments.empty());
  CHECK(run.number("parameters") == 1e6);
  CHECK_FALSE(run.number("tokenizer").has_value());
  double nats = 0;
  for (const DocumentLoss& document : run.documents) nats += document.nats;
  CHECK(nats == Approx(run.final_evaluation()->nats));
}

TEST_CASE("a document in two windows is one document") {
  RunLog log = one_log();
  auto& segments = log.evaluations.back().segments;
  segments.push_back(segments.front());
  segments.back().window += 1;
  const Run run = summarise(std::move(log), {});
  CHECK(run.documents.size() == 12);
  CHECK(run.documents[0].tokens == 2 * run.documents[0].bytes / 8);
}

TEST_CASE("steps whose loss is not finite are counted and left out of the curve") {
  RunLog log = one_log();
  log.steps[10].loss = std::numeric_limits<double>::quiet_NaN();
  log.steps[11].loss = std::numeric_limits<double>::infinity();
  const Run run = summarise(std::move(log), {});
  CHECK(run.non_finite_rows == 2);
  CHECK(run.curve.size() == 48);
  CHECK(run.state == RunState::done);
}

TEST_CASE("done without a final evaluation, or with NaN in it, is a failure") {
  RunLog without = one_log();
  without.evaluations.pop_back();
  CHECK(summarise(without, {}).state == RunState::failed);
  RunLog broken = one_log();
  broken.evaluations.back().nats = std::numeric_limits<double>::quiet_NaN();
  CHECK(summarise(broken, {}).state == RunState::failed);
}

TEST_CASE("the files of a run say how it ended") {
  const Folder folder;
  const auto add = [&](const std::string& id) {
    RunLog log = one_log();
    log.run_id = id;
    write_run_file(folder.run(id) / "run.h5", log);
  };
  for (const char* id : {"done", "failed", "going"}) add(id);
  write(folder.run("done") / "DONE", "");
  write(folder.run("failed") / "FAILED", "loss is NaN at step 17\n");
  write_heartbeat(folder.run("going"), {.phase = RunPhase::running});
  write(folder.run("garbage") / "run.h5", "this is no HDF5");
  write_heartbeat(folder.run("queued"), {.phase = RunPhase::queued});

  const Collection collection = collect(folder.path());

  CHECK(collection.runs.size() == 5);
  CHECK(named(collection, "done").state == RunState::done);
  CHECK(named(collection, "failed").state == RunState::failed);
  CHECK(named(collection, "failed").reason == "loss is NaN at step 17");
  CHECK(named(collection, "going").state == RunState::unfinished);
  CHECK(named(collection, "going").reason == "step 50 of 50, running");
  CHECK(named(collection, "garbage").state == RunState::unreadable);
  CHECK_THAT(named(collection, "garbage").reason, Catch::Contains("run.h5"));
  CHECK(named(collection, "queued").state == RunState::unfinished);
}

TEST_CASE("DONE counts more than a FAILED of an earlier attempt") {
  const Folder folder;
  write_run_file(folder.run("again") / "run.h5", one_log());
  write(folder.run("again") / "FAILED", "out of memory\n");
  write(folder.run("again") / "DONE", "");
  CHECK(collect(folder.path()).runs.at(0).state == RunState::done);
}

TEST_CASE("a damaged state.json leaves the other files to tell") {
  const Folder folder;
  write_run_file(folder.run("odd") / "run.h5", one_log());
  write(folder.run("odd") / "state.json", "{\"state\": ");
  CHECK(collect(folder.path()).runs.at(0).state == RunState::unfinished);
}

TEST_CASE("a run that the sweep file no longer names is listed and not compared") {
  const Folder folder;
  for (const char* id : {"arm-s1-old", "arm-s1-new"}) {
    RunLog log = one_log();
    log.run_id = id;
    write_run_file(folder.run(id) / "run.h5", log);
    write(folder.run(id) / "DONE", "");
  }
  write(folder.path() / "sweep.lock.yaml",
        "schema: 1\ndata: {}\nruns:\n  - {id: arm-s1-new, identity: new, feed_forward: 64, "
        "parameters: 1000000, steps: 50}\n");
  const Collection collection = collect(folder.path());
  CHECK(named(collection, "arm-s1-new").is_compared());
  CHECK_FALSE(named(collection, "arm-s1-old").is_compared());
  CHECK(named(collection, "arm-s1-old").left_out == "not in the sweep file (any more)");
  REQUIRE(collection.notes.size() == 1);
  CHECK_THAT(collection.notes[0], Catch::StartsWith("1 run is not in the sweep file"));
}

TEST_CASE("a lock that cannot be read is noted, and all runs count") {
  const Folder folder;
  write_run_file(folder.run("one") / "run.h5", one_log());
  write(folder.run("one") / "DONE", "");
  write(folder.path() / "sweep.lock.yaml", GENERATE("schema: 1\n", "runs: [\n"));
  const Collection collection = collect(folder.path());
  CHECK(collection.runs.at(0).is_compared());
  REQUIRE(collection.notes.size() == 1);
  CHECK_THAT(collection.notes[0], Catch::Contains("sweep.lock.yaml"));
}

TEST_CASE("two done runs of one arm, size, length and seed are ambiguous without a lock") {
  std::vector<RunLog> logs(2, one_log());
  logs[0].run_id = "old", logs[1].run_id = "new";
  const Collection collection = fixture::collection_of(logs);
  for (const Run& run : collection.runs) CHECK_FALSE(run.is_compared());
  CHECK_THAT(named(collection, "old").left_out, Catch::StartsWith("new is also a done run"));
  CHECK_THAT(named(collection, "new").left_out, Catch::StartsWith("old is also a done run"));
  logs[0].facts["status"] = "failed";
  CHECK(named(fixture::collection_of(logs), "new").is_compared());
}

TEST_CASE("the hours of a branch count its trunk up to where it left") {
  RunLog trunk = one_log(), branch = one_log();
  trunk.run_id = "trunk", trunk.facts["role"] = "trunk", trunk.evaluations.clear();
  branch.steps.erase(branch.steps.begin(), branch.steps.begin() + 30);
  const double each = trunk.steps[0].seconds / 3600;
  branch.configuration = "id: b\nparent:\n  run: trunk\n  step: 30\n";
  const Collection collection = fixture::collection_of({branch, trunk});
  const Run& run = named(collection, branch.run_id);
  CHECK(run.hours == Approx(50 * each));
  CHECK(run.curve.front().hours == Approx(31 * each));
  CHECK(run.inherited.hours == Approx(30 * each));
  CHECK(run.own_hours == Approx(20 * each));
  CHECK(run.inherited.flops == trunk.steps[29].flops);
}

TEST_CASE("the hours of a branch whose trunk is elsewhere are unknown") {
  RunLog branch = one_log();
  branch.configuration = "id: b\nparent:\n  run: trunk\n  step: 30\n";
  const Collection collection = fixture::collection_of({branch});
  CHECK(std::isnan(collection.runs.at(0).hours));
  const double each = branch.steps[0].seconds / 3600;
  CHECK(collection.runs.at(0).own_hours == Approx(double(branch.steps.size()) * each));
  REQUIRE(collection.notes.size() == 1);
  CHECK_THAT(collection.notes[0], Catch::Contains("its parent trunk has no step 30"));
}

TEST_CASE("an empty folder is a collection with a note, a missing one an error") {
  const Folder folder;
  const Collection collection = collect(folder.path());
  CHECK(collection.runs.empty());
  CHECK(collection.notes.size() == 1);
  CHECK_THROWS_WITH(collect(folder.path() / "nowhere"), Catch::Contains("no such folder"));
}

TEST_CASE("arms stand in the sweep's order, the baseline first") {
  fixture::SweepTruth truth;
  truth.sizes.resize(1), truth.seeds = 1, truth.steps = 5, truth.documents = 6;
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  for (RunLog& log : logs) log.facts["baseline_arm"] = "rwkv7";
  std::reverse(logs.begin(), logs.end());
  const Collection collection = fixture::collection_of(std::move(logs));
  CHECK(collection.arms == std::vector<std::string>{"rwkv7", "transformer", "meta_state"});
  CHECK(collection.runs.front().arm == "rwkv7");
}

TEST_CASE("trials of tuning are listed and not compared") {
  fixture::SweepTruth truth;
  truth.sizes.resize(1), truth.seeds = 1, truth.steps = 5, truth.documents = 6;
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  RunLog trial = logs[0];
  trial.run_id = "trial", trial.facts["role"] = "trial", trial.evaluations.clear();
  logs.push_back(trial);
  const Collection collection = fixture::collection_of(std::move(logs));
  CHECK(collection.runs.size() == 4);
  CHECK(named(collection, "trial").state == RunState::done);
  CHECK_FALSE(named(collection, "trial").is_compared());
}
