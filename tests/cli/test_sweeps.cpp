// A sweep from its file to its finished runs, with one that fails.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/cli/program.hpp"
#include "tests/support/tiny_sweep.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using testing::Ended, testing::journal_lines, testing::call_program, testing::Program,
    testing::RunsFolder, testing::Words;

// Two arms, two seeds: four runs.
class Sweep {
 public:
  explicit Sweep(int steps = 12, const std::string& arm_training = "{}") {
    write_tiny_sweep(runs_, {.other_arm = fmt::format("transformer: {{architecture: transformer, "
                                                      "training: {}}}",
                                                      arm_training),
                             .lengths = fmt::format("{} tokens", steps * 256),
                             .seeds = "1, 2",
                             .training = "learning_rate: 5e-3",
                             .lines = "evaluation: {every: never}\n"
                                      "log: {checkpoint_every: 4 steps}\npolicy: {retries: 0}\n"});
  }
  Ended call(const std::string& verb, const Words& more = {}) const {
    return call_program(runs_.path(), words(verb, more));
  }
  Program start(const std::string& verb, const Words& more = {}) const {
    return Program(runs_.path(), words(verb, more));
  }
  // Waits until this holds of any run's folder.
  void wait_for_a_run(const std::function<bool(const fs::path&)>& condition) const {
    testing::wait_until([&] {
      if (!fs::exists(folder() / "runs")) return false;
      const auto folders = run_folders();
      return std::any_of(folders.begin(), folders.end(), condition);
    });
  }
  fs::path folder() const { return runs_.path() / "results/tiny"; }
  // state -> number of runs
  std::map<std::string, int> states() const {
    const Ended ended = call_program(runs_.path(), {"status", folder().string(), "--json"});
    REQUIRE(ended.code == 0);
    std::map<std::string, int> count;
    const auto status = nlohmann::json::parse(ended.text);
    for (const auto& run : status.at("runs")) ++count[run.at("state").get<std::string>()];
    return count;
  }
  std::vector<fs::path> run_folders() const {
    std::vector<fs::path> found;
    for (const auto& item : fs::directory_iterator(folder() / "runs")) found.push_back(item.path());
    return found;
  }

 private:
  Words words(const std::string& verb, const Words& more) const {
    Words all{verb, (runs_.path() / "sweep.yaml").string(), "--results",
              (runs_.path() / "results").string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  RunsFolder runs_;
};

using States = std::map<std::string, int>;

std::size_t lines_with(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

TEST_CASE("a sweep runs once: before, plan --diff shows it as new, afterwards as done") {
  const Sweep sweep;
  CHECK(sweep.call("check").code == 0);
  const Ended before = sweep.call("plan", {"--diff"});
  CHECK(before.code == 0);
  CHECK(lines_with(before.text, "  new\n") == 4);
  CHECK_FALSE(fs::exists(sweep.folder()));  // looking changes nothing

  const Ended run = sweep.call("run", {"--no-report"});
  INFO(run.text);
  CHECK(run.code == 0);
  CHECK(sweep.states() == States{{"done", 4}});
  CHECK(lines_with(sweep.call("plan", {"--diff"}).text, "  done\n") == 4);

  const auto written = [&] {
    std::map<std::string, fs::file_time_type> times;
    for (const auto& item : fs::recursive_directory_iterator(sweep.folder() / "runs"))
      times[item.path().string()] = item.last_write_time();
    return times;
  };
  const auto times = written();
  CHECK(sweep.call("run", {"--no-report"}).code == 0);
  CHECK((written() == times));
}

TEST_CASE("one arm that fails does not end the others, and the sweep says 3") {
  const Sweep sweep(12, "{learning_rate: 10, final_learning_rate: 10, weight_decay: 100}");
  const Ended run = sweep.call("run", {"--no-report"});
  INFO(run.text);
  CHECK(run.code == 3);
  CHECK(sweep.states() == States{{"done", 2}, {"failed", 2}});
  CHECK_THAT(run.text, Contains("2 done") && Contains("2 failed") && Contains("not both finite"));
}

TEST_CASE("with --only a part of a sweep runs") {
  const Sweep sweep;
  CHECK(sweep.call("run", {"--no-report", "--only", "rwkv7-*-s1-*"}).code == 0);
  CHECK(sweep.states() == States{{"done", 1}, {"pending", 3}});
}

TEST_CASE("a sweep that is interrupted leaves every run resumable, and goes on") {
  const Sweep sweep(3000);
  Program program = sweep.start("run", {"--no-report", "--slots", "1"});
  sweep.wait_for_a_run([](const fs::path& run) { return journal_lines(run) >= 6; });
  program.send(SIGINT);
  const Ended ended = program.wait();
  INFO(ended.text);
  CHECK(ended.code == 130);
  States states = sweep.states();
  CHECK(states["saved"] == 1);
  CHECK(states["pending"] == 3);
  CHECK_THAT(sweep.call("plan", {"--diff"}).text, Contains("  goes on\n"));

  Program again = sweep.start("run", {"--no-report", "--slots", "1"});
  sweep.wait_for_a_run([](const fs::path& run) {
    return fs::exists(run / "attempts/0002") && journal_lines(run) > 0;
  });
  again.send(SIGTERM);
  CHECK(again.wait().code == 75);
  CHECK(sweep.states()["failed"] == 0);
}

TEST_CASE("a sweep whose own process is killed leaves runs that can be started again") {
  const Sweep sweep(40);
  Program program = sweep.start("run", {"--no-report", "--slots", "1"});
  sweep.wait_for_a_run([](const fs::path& run) { return journal_lines(run) >= 6; });
  program.send(SIGKILL);
  CHECK(program.wait().code == 128 + SIGKILL);
  // Its children are told by the kernel, save, and give their folders back.
  testing::wait_until([&] {
    for (const fs::path& run : sweep.run_folders())
      if (fs::exists(run / "lease.json")) return false;
    return true;
  });
  CHECK(sweep.call("run", {"--no-report"}).code == 0);
  CHECK(sweep.states() == States{{"done", 4}});
}

}  // namespace
}  // namespace metascale
