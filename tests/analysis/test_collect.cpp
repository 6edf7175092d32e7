#include <catch2/catch.hpp>
#include <fstream>
#include <limits>

#include "analysis/collect.hpp"
#include "core/error.hpp"
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
  write(folder.run("going") / "state.json", R"({"state": "running"})");
  write(folder.run("garbage") / "run.h5", "this is no HDF5");
  write(folder.run("queued") / "state.json", R"({"state": "queued"})");

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
