// The executor against real child processes: a shell script that stands for `metascale train`.
#include <fmt/format.h>
#include <signal.h>

#include <fstream>
#include <set>
#include <thread>

#include "core/atomic_file.hpp"
#include "core/child.hpp"
#include "sweeps/attempt.hpp"
#include "sweeps/executor.hpp"
#include "sweeps/executor/record.hpp"
#include "tests/sweeps/definitions.hpp"
#include "tests/sweeps/program_folder.hpp"

using namespace metascale;
namespace fs = std::filesystem;

namespace {

Execution execute(const Folder& folder, const std::string& script, const std::vector<Job>& jobs,
                  ExecutorOptions options = {}) {
  options.program = folder.program(script);
  return make_local_executor(options)->run(jobs);
}

std::vector<Outcome> outcomes(const Execution& execution) {
  std::vector<Outcome> all;
  for (const JobResult& result : execution.results) all.push_back(result.outcome);
  return all;
}

// For ctest.
bool has_one_core() {
  if (available_cores().size() < 2) WARN("skipped: there is one core");
  return available_cores().size() < 2;
}

}  // namespace

TEST_CASE("executor: runs every job once, with its output in its attempt's folder") {
  const Folder folder;
  const Execution execution = execute(folder, "echo hello $1; echo error >&2; touch $run/DONE",
                                      {folder.job("a"), folder.job("b")});
  CHECK(outcomes(execution) == std::vector{Outcome::done, Outcome::done});
  CHECK(execution.exit_code() == ExitCode::good);
  CHECK(read_file(folder.path / "runs/a/attempts/0001/out.log") == "hello train\nerror\n");
  CHECK_FALSE(folder.has("a/attempts/0002"));
  CHECK_THAT(read_file(folder.path / "runs/a/attempts/0001/environment.json"),
             Catch::Contains("\"commit\""));
}

TEST_CASE("executor: a job that is done is skipped") {
  const Folder folder;
  const Job job = folder.job("a");
  std::ofstream(job.folder / "DONE");
  CHECK(outcomes(execute(folder, "exit 2", {job})) == std::vector{Outcome::done});
  CHECK_FALSE(folder.has("a/attempts/0001"));
}

TEST_CASE("executor: one failing run does not end the others") {
  const Folder folder;
  const Execution execution =
      execute(folder, "case $run in *bad) exit 2;; esac; touch $run/DONE",
              {folder.job("bad"), folder.job("good1"), folder.job("good2")}, {.slots = 1});
  CHECK(outcomes(execution) == std::vector{Outcome::failed, Outcome::done, Outcome::done});
  CHECK(execution.exit_code() == ExitCode::run_failed);
  CHECK_THAT(execution.results[0].message, Catch::Contains("exit code 2"));
  CHECK_THAT(execution.results[0].message, Catch::Contains("attempts/0001/out.log"));
  CHECK(folder.has("bad/FAILED"));
}

TEST_CASE("executor: fail-fast starts nothing more") {
  const Folder folder;
  const Execution execution = execute(folder, "exit 2", {folder.job("bad"), folder.job("next")},
                                      {.slots = 1, .on_failure = OnFailure::stop});
  CHECK(outcomes(execution) == std::vector{Outcome::failed, Outcome::waiting});
}

TEST_CASE("executor: fail-fast lets the runs beside it save") {
  if (has_one_core()) return;
  const Folder folder;
  const std::string script =
      "case $run in *bad) while [ ! -e $run/../good/ready ]; do sleep 0.02; done; exit 2;; esac; "
      "trap 'exit 75' "
      "TERM; touch $run/ready; while :; do sleep 0.02; done";
  const Execution execution = execute(folder, script, {folder.job("bad"), folder.job("good")},
                                      {.slots = 2, .on_failure = OnFailure::stop});
  CHECK(outcomes(execution) == std::vector{Outcome::failed, Outcome::saved});
}

TEST_CASE("executor: a run that another process works on is not marked as failed") {
  const Folder folder;
  const Execution execution = execute(folder, "exit 69", {folder.job("a")}, {.retries = 0});
  CHECK(outcomes(execution) == std::vector{Outcome::failed});
  CHECK_THAT(execution.results[0].message, Catch::StartsWith("exit code 69; see "));
  CHECK_FALSE(folder.has("a/FAILED"));
}

TEST_CASE("executor: a lease of another machine is waited for, and uses up no retry") {
  const Folder folder;
  const Job job = folder.job("a");
  folder.lease_far_away(job);
  std::vector<std::string> told;
  ExecutorOptions options{.retries = 0};
  options.events.ended = [&](const Job&, int, const std::string& what) {
    told.push_back(what);
    fs::remove(job.folder / "lease.json");  // its holder came to its end
  };
  CHECK(outcomes(execute(folder, "[ -e $run/lease.json ] && exit 69; touch $run/DONE", {job},
                         options)) == std::vector{Outcome::done});
  REQUIRE(told.size() == 2);
  CHECK_THAT(told[0], Catch::Contains("waits for the lease"));
}

TEST_CASE("executor: a lease of another machine that is always there is waited for once") {
  const Folder folder;
  const Job job = folder.job("a");
  folder.lease_far_away(job);
  fs::copy(job.folder / "lease.json", folder.path / "lease");
  ExecutorOptions options{.retries = 0};
  options.events.ended = [&](const Job&, int, const std::string&) {
    fs::remove(job.folder / "lease.json");
  };
  CHECK(outcomes(execute(folder, "cp $run/../../lease $run/lease.json; exit 69", {job}, options)) ==
        std::vector{Outcome::failed});
  CHECK(folder.has("a/attempts/0002"));
  CHECK_FALSE(folder.has("a/attempts/0003"));
  CHECK_FALSE(folder.has("a/FAILED"));
}

TEST_CASE("executor: who waits for a lease can be stopped, and cancelled") {
  const Folder folder;
  const Job job = folder.job("a");
  folder.lease_far_away(job);
  bool waits = false;
  ExecutorOptions options{.retries = 0};
  options.events.ended = [&](const Job&, int, const std::string&) { waits = true; };
  SECTION("stopped") {
    options.stop = [&] { return waits ? Stop::terminate : Stop::none; };
    CHECK(outcomes(execute(folder, "exit 69", {job}, options)) == std::vector{Outcome::waiting});
  }
  SECTION("cancelled") {
    options.is_cancelled = [&](const Job&) { return waits; };
    CHECK(outcomes(execute(folder, "exit 69", {job}, options)) == std::vector{Outcome::cancelled});
  }
  CHECK_FALSE(folder.has("a/attempts/0002"));
}

TEST_CASE("executor: what a run's GPUs used is kept with the attempt that said so") {
  const Folder folder;
  const Job job = folder.job("a");
  const std::string script =
      "[ -e $run/once ] && touch $run/DONE && exit 0; touch $run/once; "
      "echo \"{\\\"state\\\":\\\"saved\\\",\\\"step\\\":1,\\\"steps\\\":9,\\\"loss\\\":1,"
      "\\\"tokens_per_second\\\":1,\\\"time\\\":$(date +%s.%N),\\\"attempt\\\":1,"
      "\\\"message\\\":\\\"\\\",\\\"joules\\\":7.5}\" > $run/state.json; exit 3";
  CHECK(outcomes(execute(folder, script, {job})) == std::vector{Outcome::done});
  const std::vector<Attempt> attempts = read_attempts(job.folder);
  REQUIRE(attempts.size() == 2);
  CHECK(attempts[0].joules == 7.5);
  CHECK_FALSE(attempts[1].joules);  // that word was of the attempt before
}

TEST_CASE("executor: an attempt knows how long its job may still take") {
  const Folder folder;
  const Job job = folder.job("a");
  const double now = seconds_since_1970();
  const auto limit_of = [&](double deadline) {
    AttemptRecord(job.folder, {.deadline = deadline}, 1);
    return read_attempts(job.folder).back().limit;
  };
  CHECK(limit_of(now + 10000) <= 10000);
  CHECK(limit_of(now + 10000) > 9000);
  CHECK(limit_of(now - 10) == 1);  // Slurm ends jobs late
  CHECK(limit_of(0) == 0);
}

TEST_CASE("executor: which exit codes are retried") {
  const auto [code, attempts] = GENERATE(
      table<int, int>({{1, 3}, {3, 3}, {69, 3}, {2, 1}, {65, 1}, {74, 1}, {4, 1}, {99, 1}}));
  CAPTURE(code);
  const Folder folder;
  const Execution execution =
      execute(folder, "exit " + std::to_string(code), {folder.job("a")}, {.retries = 2});
  CHECK(execution.results[0].outcome == Outcome::failed);
  CHECK(execution.results[0].exit_code == code);
  CHECK(folder.has(fmt::format("a/attempts/{:04}", attempts)));
  CHECK_FALSE(folder.has(fmt::format("a/attempts/{:04}", attempts + 1)));
}

TEST_CASE("executor: a retry that succeeds leaves no FAILED behind") {
  const Folder folder;
  const std::string script =
      "rm -f $run/FAILED; if [ -e $run/once ]; then touch $run/DONE; else touch $run/once "
      "$run/FAILED; exit 3; fi";
  CHECK(outcomes(execute(folder, script, {folder.job("a")}, {.retries = 1})) ==
        std::vector{Outcome::done});
  CHECK_FALSE(folder.has("a/FAILED"));
}

TEST_CASE("executor: a crash is retried, and told by its signal") {
  const Folder folder;
  const Execution execution = execute(folder, "kill -9 $$", {folder.job("a")}, {.retries = 0});
  CHECK(execution.results[0].exit_code == 128 + 9);
  CHECK_THAT(execution.results[0].message, Catch::Contains("ended by signal 9"));
}

TEST_CASE("executor: a run that saved is started again, while it gets on") {
  const Folder folder;
  const std::string script =
      "n=$(ls $run/attempts | wc -l); "
      "echo \"{\\\"state\\\":\\\"saved\\\",\\\"step\\\":$n,\\\"steps\\\":9,\\\"loss\\\":1,"
      "\\\"tokens_per_second\\\":1,\\\"time\\\":1,\\\"attempt\\\":1,\\\"message\\\":\\\"\\\"}\" > "
      "$run/state.json; [ $n -ge 6 ] && touch $run/DONE && exit 0; exit 75";
  CHECK(outcomes(execute(folder, script, {folder.job("a")}, {.retries = 0})) ==
        std::vector{Outcome::done});
  CHECK(folder.has("a/attempts/0006"));
}

TEST_CASE("executor: a run that saves without getting on is given up") {
  const Folder folder;
  CHECK(outcomes(execute(folder, "exit 75", {folder.job("a")}, {.retries = 0})) ==
        std::vector{Outcome::failed});
  CHECK(folder.has("a/attempts/0004"));
  CHECK_FALSE(folder.has("a/attempts/0005"));
}

TEST_CASE("executor: exit code 0 without DONE is no success") {
  const Folder folder;
  CHECK(outcomes(execute(folder, "exit 0", {folder.job("a")}, {.retries = 0})) ==
        std::vector{Outcome::failed});
}

TEST_CASE("executor: a child waits for its parent, and is blocked where that fails") {
  const Folder folder;
  const std::string script =
      "case $run in *bad) exit 2;; *child) [ -e $run/../good/DONE ] || exit 2;; esac; touch "
      "$run/DONE";
  const Execution execution = execute(folder, script,
                                      {folder.job("child", "good"), folder.job("good"),
                                       folder.job("orphan", "bad"), folder.job("bad")});
  CHECK(outcomes(execution) ==
        std::vector{Outcome::done, Outcome::done, Outcome::blocked, Outcome::failed});
}

TEST_CASE("executor: asked to stop it lets the runs save, and starts nothing more") {
  const Folder folder;
  const std::string script =
      "trap 'touch $run/saved; exit 75' TERM; touch $run/ready; while :; do sleep 0.02; done";
  const std::vector<Job> jobs{folder.job("a"), folder.job("b")};
  const Stop asked = GENERATE(Stop::interrupt, Stop::terminate);
  const Execution execution =
      execute(folder, script, jobs,
              {.slots = 1, .stop = [&] { return folder.has("a/ready") ? asked : Stop::none; }});
  CHECK(outcomes(execution) == std::vector{Outcome::saved, Outcome::waiting});
  CHECK(folder.has("a/saved"));
  CHECK_FALSE(folder.has("b/ready"));
  CHECK(execution.exit_code() ==
        (asked == Stop::interrupt ? ExitCode::interrupted : ExitCode::saved));
}

TEST_CASE("executor: a run that was warned of the time limit is killed at the last moment") {
  const Folder folder;
  const auto ended = [&](const char* script, double seconds_left) {
    fs::remove(folder.path / "runs/a/ready");
    const Execution execution =
        execute(folder, script, {folder.job("a")},
                {.stop = [&] { return folder.has("a/ready") ? Stop::time_limit : Stop::none; },
                 .last_moment = seconds_since_1970() + seconds_left});
    CHECK(read_attempts(folder.path / "runs/a").back().end == AttemptEnd::timed_out);
    CHECK(execution.exit_code() == ExitCode::saved);
    return execution.results[0];
  };
  const char* const saves_late =
      "trap 'sleep 0.2; exit 75' TERM; touch $run/ready; while :; do sleep 0.02; done";
  CHECK(ended(saves_late, 60).outcome == Outcome::saved);
  CHECK(ended(saves_late, -1).outcome == Outcome::saved);  // as long as the batch system waits
  const JobResult killed = ended("trap '' TERM; touch $run/ready; sleep 60", 1);
  CHECK(killed.outcome == Outcome::waiting);
  CHECK(killed.exit_code == 128 + SIGKILL);
  CHECK_THAT(killed.message, Catch::Contains("did not save in time"));
}

TEST_CASE("executor: a stop that comes after the last run has ended stops nothing") {
  const Stop asked = GENERATE(Stop::interrupt, Stop::terminate);
  CHECK(Execution{.results = {{.outcome = Outcome::done}}, .stopped = asked}.exit_code() ==
        ExitCode::good);
  CHECK(Execution{.results = {{.outcome = Outcome::failed}}, .stopped = asked}.exit_code() ==
        ExitCode::run_failed);
  CHECK(Execution{.results = {{.outcome = Outcome::done}, {.outcome = Outcome::waiting}},
                  .stopped = Stop::interrupt}
            .exit_code() == ExitCode::interrupted);
}

TEST_CASE("executor: slots are shared among the jobs that are not done") {
  if (has_one_core()) return;
  const Folder folder;
  const Job done = folder.job("a");
  std::ofstream(done.folder / "DONE");
  execute(folder, "echo $OMP_NUM_THREADS; touch $run/DONE", {done, folder.job("b")});
  CHECK(read_file(folder.path / "runs/b/attempts/0001/out.log") ==
        fmt::format("{}\n", available_cores().size()));
}

TEST_CASE("executor: each run knows its threads and keeps to its cores") {
  const Folder folder;
  const std::vector<int> cores = available_cores();
  execute(folder, "echo $OMP_NUM_THREADS; nproc; touch $run/DONE", {folder.job("a")},
          {.slots = 1, .threads = 1});
  CHECK(read_file(folder.path / "runs/a/attempts/0001/out.log") == "1\n1\n");
}

TEST_CASE("executor: runs go on side by side") {
  if (has_one_core()) return;
  const Folder folder;
  const std::string script =
      "touch $run/here; for i in $(seq 600); do ls $run/../*/here | wc -l | grep -q 2 && "
      "touch "
      "$run/DONE && exit 0; sleep 0.1; done; exit 2";
  CHECK(execute(folder, script, {folder.job("a"), folder.job("b")}, {.slots = 2}).exit_code() ==
        ExitCode::good);
}

TEST_CASE("executor: a program that is not there is an error that names it") {
  const Folder folder;
  const auto executor = make_local_executor({.program = folder.path / "nothing"});
  CHECK_THROWS_WITH(executor->run({folder.job("a")}),
                    Catch::Contains("nothing: cannot start this program"));
}

TEST_CASE("executor: the dry run starts nothing and names what it would start") {
  const Folder folder;
  std::vector<std::string> told;
  const auto executor = make_dry_run_executor(
      {.started = [&](const Job& job, int, const std::vector<int>&) { told.push_back(job.id); }});
  const Job done = folder.job("a");
  std::ofstream(done.folder / "DONE");
  executor->run({done, folder.job("b")});
  CHECK(told == std::vector<std::string>{"b"});
}

TEST_CASE("slots: cores are shared out without overlap") {
  const std::vector<int> cores{0, 1, 2, 3, 8, 9};
  CHECK(plan_slots(cores, 0, 0, 100).slots.size() == 6);
  CHECK(plan_slots(cores, 0, 2, 100).slots ==
        std::vector<std::vector<int>>{{0, 1}, {2, 3}, {8, 9}});
  CHECK(plan_slots(cores, 0, 0, 2).slots == std::vector<std::vector<int>>{{0, 1, 2}, {3, 8, 9}});
  CHECK(plan_slots(cores, 4, 0, 100).threads == 1);
  CHECK(refusal_of([&] { plan_slots(cores, 4, 2, 100); }) ==
        "4 slots of 2 threads need more than the 6 cores here; write auto, or less");
  CHECK(plan_slots(cores, 2, 3, 1).slots.size() == 1);
}
