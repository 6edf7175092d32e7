// Sweeps on a batch system that is known by three commands, and a sweep of a thousand runs.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/heartbeat.hpp"
#include "sweeps/attempt.hpp"
#include "sweeps/ledger.hpp"
#include "sweeps/submission.hpp"
#include "tests/cli/program.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/support/tiny_sweep.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using nlohmann::json;
using testing::call_program, testing::Ended, testing::RunsFolder, testing::Words;

// Jobs are processes: qsub starts one, qstat looks for it, qdel ends it.
class FakeBatchSystem {
 public:
  explicit FakeBatchSystem(const fs::path& folder) : folder_(folder / "bin") {
    fs::create_directories(folder_ / "jobs");
    write("qsub",
          "number=$(($(ls \"$here/jobs\" | wc -l) + 1))\n"
          "OMP_NUM_THREADS=1 setsid bash \"$1\" >\"$here/out.$number\" 2>&1 </dev/null &\n"
          "echo $! >\"$here/jobs/$number\"\n"
          "echo \"Your job $number (\\\"$2\\\") has been submitted\"\n");
    write("qstat",
          "process=$(cat \"$here/jobs/$1\" 2>/dev/null) || exit 1\n"
          "state=$(sed 's/^.*) //' \"/proc/$process/stat\" 2>/dev/null | cut -c1)\n"
          "case $state in '' | Z | X) exit 1 ;; esac\necho \"$1 is there\"\n");
    write("qdel", "kill \"$(cat \"$here/jobs/$1\")\"\n");
  }
  std::string launch() const {
    const auto command = [&](const char* name, const char* word) {
      return json({(folder_ / name).string(), word}).dump();
    };
    return fmt::format("{{template: {{submit: {}, state: {}, cancel: {}, signal_before: 1s}}}}",
                       command("qsub", "{script}"), command("qstat", "{job}"),
                       command("qdel", "{job}"));
  }
  // Jobs that are all there, asked for many at a time.
  std::string launch_of_many() const {
    write("list", "echo \"$#\" >>\"$here/asked\"\nprintf '%s there\\n' \"$@\"\n");
    return fmt::format(
        "{{template: {{submit: ['false'], state: [{}, '{{jobs}}'], cancel: ['false']}}}}",
        json((folder_ / "list").string()).dump());
  }
  std::string asked() const { return read_file(folder_ / "asked"); }
  std::size_t jobs() const {
    return std::size_t(std::distance(fs::directory_iterator(folder_ / "jobs"), {}));
  }

 private:
  void write(const char* name, const std::string& text) const {
    std::ofstream(folder_ / name) << "#!/bin/bash\nhere=$(dirname \"$0\")\n" << text;
    chmod((folder_ / name).c_str(), 0755);
  }
  fs::path folder_;
};

class BatchSweep {
 public:
  explicit BatchSweep(const std::string& name = "re sults'$(touch harm)\n", int seeds = 1)
      : system_(runs_.path()), results_(runs_.path() / name) {
    std::string list = "1";
    for (int seed = 2; seed <= seeds; ++seed) list += fmt::format(", {}", seed);
    write_tiny_sweep(runs_, {.seeds = list, .lines = "log: {checkpoint_every: 4 steps}\n"});
  }
  Ended call(const std::string& verb, const Words& more = {},
             std::chrono::seconds limit = std::chrono::minutes(2)) const {
    Words words{verb,        file().string(),  "--set", "launch=" + system_.launch(),
                "--results", results_.string()};
    words.insert(words.end(), more.begin(), more.end());
    return call_program(runs_.path(), words, limit);
  }
  Ended call_on_folder(const std::string& verb, const Words& more = {}) const {
    Words words{verb, folder().string()};
    words.insert(words.end(), more.begin(), more.end());
    return call_program(runs_.path(), words);
  }
  std::size_t in_state(const std::string& word) const {
    const json status = json::parse(call_on_folder("status", {"--json"}).text);
    return status.at("states").value(word, std::size_t(0));
  }
  fs::path run_of(const std::string& arm) const { return testing::run_of(folder(), arm); }
  fs::path folder() const { return results_ / "tiny"; }
  const FakeBatchSystem& system() const { return system_; }
  // All runs as if one submission had handed them over and they ran: nothing does. Returns how
  // many.
  std::size_t write_running() const {
    const Definition definition = read_definition(file(), {"launch=" + system_.launch_of_many()});
    Ledger ledger(folder());
    const Resolution resolution = resolve(definition);
    ledger.update(definition, resolution);
    Submission submission{.sweep = "tiny", .how = std::get<TemplateLaunch>(definition.launch.how)};
    for (const PlannedRun& run : resolution.runs) submission.tasks.push_back({run.config.id});
    create_submission(folder(), submission);
    for (const auto& task : submission.tasks) {
      submission.jobs.push_back(std::to_string(submission.jobs.size() + 1));
      const fs::path run = ledger.run_folder(task[0]);
      const double now = seconds_since_1970();
      write_heartbeat(run, {.phase = RunPhase::running, .step = 5, .steps = 10, .time = now});
      write_attempt(run, {.number = new_attempt(run),
                          .job = submission.jobs.back(),
                          .started = now - 60,
                          .seen = now,
                          .cores = 1});
    }
    write_submission(folder(), submission);
    return resolution.runs.size();
  }
  // Nothing took the name of the results for a command.
  void expect_unharmed() const {
    for (const auto& entry : fs::recursive_directory_iterator(runs_.path()))
      CHECK(entry.path().filename() != "harm");
    CHECK_FALSE(fs::exists("harm"));
  }

 private:
  fs::path file() const { return runs_.path() / "sweep.yaml"; }
  RunsFolder runs_;
  FakeBatchSystem system_;
  fs::path results_;
};

const Words long_runs{"--set", "axes.length=[2560000 tokens]", "--json"};

TEST_CASE("a sweep goes through a batch system that is known by three commands") {
  const BatchSweep sweep;
  const Ended printed = sweep.call("submit", {"--print"});
  CHECK(printed.code == 0);
  CHECK_THAT(printed.text, Contains("#!/bin/bash\n") && Contains(" launch ") &&
                               Contains("submission 0001: 2 runs in 2 jobs\n"));
  CHECK(sweep.call("plan").code == 0);
  CHECK(sweep.system().jobs() == 0);        // looking starts nothing
  CHECK_FALSE(fs::exists(sweep.folder()));  // and changes nothing
  const Ended submitted = sweep.call("submit", {"--json"});
  INFO(submitted.text);
  REQUIRE(submitted.code == 0);
  CHECK(json::parse(submitted.text).at("submissions")[0].at("jobs") == json({"1", "2"}));
  testing::wait_until([&] { return sweep.in_state("done") == 2; });
  CHECK_THAT(sweep.call("submit").text, Contains("2 runs left out: done"));
  CHECK(sweep.system().jobs() == 2);
  const auto attempt = [&] { return read_attempts(sweep.run_of("rwkv7"))[0]; };
  // The run's own process says that it is done; who started it writes so a little later.
  testing::wait_until([&] { return attempt().end != AttemptEnd::running; });
  CHECK(attempt().end == AttemptEnd::done);
  CHECK(attempt().cores == 1);
  sweep.expect_unharmed();
}

TEST_CASE("a job that was cancelled saves its run, and retry hands it over again") {
  const BatchSweep sweep;
  REQUIRE(sweep.call("submit", long_runs).code == 0);
  testing::wait_until([&] { return sweep.in_state("running") == 2; });
  const fs::path run = sweep.run_of("rwkv7");
  testing::wait_until([&] { return testing::journal_lines(run) > 8; });
  CHECK_THAT(sweep.call("submit", long_runs).text, Contains("\"submissions\": []"));
  REQUIRE(sweep.call_on_folder("cancel", {"--only", "rwkv7-*", "-y"}).code == 0);
  testing::wait_until([&] { return !fs::exists(run / "lease.json"); });
  testing::wait_until([&] { return read_attempts(run)[0].end == AttemptEnd::cancelled; });
  CHECK(newest_checkpoint(run) > 0);
  CHECK(sweep.in_state("cancelled") == 1);
  CHECK_THAT(sweep.call("submit", long_runs).text, Contains("cancelled; metascale retry"));
  REQUIRE(sweep.call_on_folder("retry", {"--all", "--cancelled", "-y"}).code == 0);
  testing::wait_until([&] { return sweep.in_state("running") == 2; });
  CHECK(sweep.system().jobs() == 3);
  REQUIRE(sweep.call_on_folder("cancel", {"--all", "-y"}).code == 0);
  testing::wait_until([&] { return !fs::exists(run / "lease.json"); });
}

TEST_CASE("retry leaves a run alone whose job goes on with another one") {
  const BatchSweep sweep("results");
  Words packed = long_runs;
  packed.insert(packed.end(), {"--set", "resources={default: {runs_per_node: 2}}"});
  REQUIRE(sweep.call("submit", packed).code == 0);
  testing::wait_until([&] { return sweep.in_state("running") == 2; });
  CHECK(sweep.system().jobs() == 1);
  const fs::path run = sweep.run_of("rwkv7"), other = sweep.run_of("transformer");
  REQUIRE(sweep.call_on_folder("cancel", {"--only", "rwkv7-*", "-y"}).code == 0);
  testing::wait_until([&] { return read_attempts(run)[0].end == AttemptEnd::cancelled; });
  const Ended early = sweep.call_on_folder("retry", {"--only", "rwkv7-*", "--cancelled", "-y"});
  CHECK(early.code == 0);
  CHECK_THAT(early.text, Contains("its job 1 goes on with transformer-") &&
                             Contains("metascale retry once that has ended"));
  CHECK(fs::exists(run / "CANCELLED"));
  CHECK(sweep.in_state("cancelled") == 1);
  CHECK(sweep.in_state("running") == 1);
  REQUIRE(sweep.call_on_folder("cancel", {"--all", "-y"}).code == 0);  // and the job with it
  REQUIRE(sweep.call_on_folder("retry", {"--all", "--cancelled", "-y"}).code == 0);
  CHECK(sweep.system().jobs() == 2);  // it waited for the first to end
  testing::wait_until([&] { return sweep.in_state("running") == 2; });
  REQUIRE(sweep.call_on_folder("cancel", {"--all", "-y"}).code == 0);
  for (const fs::path& folder : {run, other})
    testing::wait_until([&] { return !fs::exists(folder / "lease.json"); });
}

TEST_CASE("a run that times out again and again without a checkpoint is given up") {
  const BatchSweep sweep("results");
  REQUIRE(sweep.call("submit", {"--only", "rwkv7-*"}).code == 0);
  testing::wait_until([&] { return sweep.in_state("done") == 1; });
  const fs::path run = sweep.run_of("rwkv7");
  // Its job, too: it would take a DONE that vanishes for a trainer that was not ours.
  testing::wait_until([&] { return read_attempts(run)[0].end == AttemptEnd::done; });
  fs::remove(run / "DONE");
  const std::int64_t step = newest_checkpoint(run);
  for (int number = 2; number <= 4; ++number) {
    new_attempt(run);
    write_attempt(run, {.number = number,
                        .end = AttemptEnd::timed_out,
                        .first_checkpoint = step,
                        .last_checkpoint = step});
  }
  const Ended launched =
      call_program(run, {"launch", (sweep.folder() / "submissions/0001").string(), "0"});
  CHECK(launched.code == 0);
  CHECK_THAT(read_file(run / "FAILED"), Contains("3 time limits in a row"));
  CHECK(read_attempts(run).size() == 4);  // it was not started
  CHECK(sweep.in_state("failed") == 1);
  REQUIRE(sweep.call_on_folder("retry", {"--all", "-y"}).code == 0);
  testing::wait_until([&] { return sweep.in_state("done") == 1; });
}

TEST_CASE("submit and cancel say what they need") {
  const BatchSweep sweep;
  CHECK_THAT(sweep.call("submit", {"--set", "launch={local: {}}"}).text,
             Contains("no batch system to submit to"));
  CHECK(sweep.call("run").code == 2);
  CHECK(sweep.call("submit", {"--set", "resources={default: {time: 1s}}"}).code == 2);
  CHECK_FALSE(fs::exists(sweep.folder()));
  CHECK(sweep.call_on_folder("cancel", {"--all"}).code == 2);
  REQUIRE(sweep.call("submit").code == 0);
  CHECK_THAT(sweep.call_on_folder("cancel").text, Contains("--only PATTERN, or write --all"));
  CHECK_THAT(sweep.call_on_folder("retry", {"--only", "x*"}).text, Contains("no run in"));
  CHECK(
      call_program(sweep.folder(), {"launch", (sweep.folder() / "submissions/0001").string(), "7"})
          .code == 2);
  testing::wait_until([&] { return sweep.in_state("done") == 2; });
}

// What this process's children computed, for themselves and in the kernel, in seconds.
double child_seconds() {
  rusage usage{};
  REQUIRE(getrusage(RUSAGE_CHILDREN, &usage) == 0);
  return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

// Wall times are bench/bench_thousand_runs.sh; this is what does not depend on who else computes.
TEST_CASE("a thousand runs cost plan, submit --print and status little computing and memory") {
  const BatchSweep sweep("results", 500);
  const auto cheap = [&](const char* what, const std::function<Ended()>& call) {
    INFO(what);
    const double before = child_seconds();
    const Ended ended = call();
    const double seconds = child_seconds() - before;
    INFO(ended.text.substr(0, 500));
    CHECK(ended.code == 0);
#ifdef __OPTIMIZE__
    if (!testing::is_sanitized) CHECK(seconds < 2);
#endif
    CHECK(seconds > 0);
    return ended.text;
  };
  CHECK_THAT(cheap("plan", [&] { return sweep.call("plan"); }), Contains("tiny: 1000 runs"));
  CHECK_THAT(cheap("submit --print",
                   [&] {
                     return sweep.call("submit", {"--print", "--set", "launch={slurm: {}}"});
                   }),
             Contains("1000 runs in 1000 jobs"));
  REQUIRE(sweep.write_running() == 1000);
  CHECK_THAT(cheap("status", [&] { return sweep.call_on_folder("status"); }),
             Contains("1000 running"));
  CHECK(sweep.system().asked() == "100\n100\n100\n100\n100\n100\n100\n100\n100\n100\n");
  rusage usage{};
  REQUIRE(getrusage(RUSAGE_CHILDREN, &usage) == 0);
  CHECK(usage.ru_maxrss < 512 * 1024);  // KiB, of the largest process
}

// How long each takes: bench/bench_thousand_runs.sh.
TEST_CASE("a thousand runs are planned, printed, run and looked at in bounded memory", "[.slow]") {
  const BatchSweep sweep("results", 500);
  const auto good = [](const Ended& ended) {
    INFO(ended.text.substr(0, 500));
    CHECK(ended.code == 0);
    return ended.text;
  };
  CHECK_THAT(good(sweep.call("submit", {"--print", "--set", "launch={slurm: {array_cap: 100}}"})),
             Contains("1000 runs"));
  good(sweep.call("submit", {"--print"}));
  CHECK_FALSE(fs::exists(sweep.folder()));
  good(sweep.call("plan"));
  CHECK_THAT(good(sweep.call("run", {"--set", "launch={local: {}}", "--no-report"},
                             std::chrono::minutes(30))),
             Contains("1000 done"));
  CHECK_THAT(good(sweep.call_on_folder("status")), Contains("1000 done"));
  rusage usage{};
  REQUIRE(getrusage(RUSAGE_CHILDREN, &usage) == 0);
  CHECK(usage.ru_maxrss < 512 * 1024);  // KiB, of the largest process
}

}  // namespace
}  // namespace metascale
