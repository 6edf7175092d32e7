// Handing over to Slurm, as scripts play it: nothing twice, and nothing healthy is ended.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "core/heartbeat.hpp"
#include "core/run_lease.hpp"
#include "experiments/config.hpp"
#include "sweeps/attempt.hpp"
#include "sweeps/overview.hpp"
#include "sweeps/submit.hpp"
#include "tests/support/file_dates.hpp"
#include "tests/sweeps/definitions.hpp"
#include "tests/sweeps/fake_slurm.hpp"
#include "tests/sweeps/program_folder.hpp"

using namespace metascale;
using Catch::Contains;
namespace fs = std::filesystem;
using testing::date_back;

namespace {

constexpr double hour = 3605;  // and some seconds: "1h", whatever the clock
constexpr long minute = 60;

// Two runs, the first two of the small sweep.
class TwoRuns {
 public:
  explicit TwoRuns(std::vector<std::string> overrides = {}) {
    overrides.insert(overrides.begin(), "launch={slurm: {}}");
    definition_ = small_definition(overrides);
    for (const PlannedRun& run : resolve(definition_).runs) ids_.push_back(run.config.id);
    REQUIRE(ids_.size() == 2);
  }
  SubmitResult submit() const {
    Ledger ledger(results());
    return submit_sweep(definition_, ledger, {.program = "metascale"});
  }
  // Of the file as it is after more changes.
  SubmitResult submit_changed(std::vector<std::string> overrides, bool retries_failed) const {
    if (overrides.empty() || !overrides[0].starts_with("launch"))
      overrides.push_back("launch={slurm: {}}");
    Ledger ledger(results());
    return submit_sweep(small_definition(overrides), ledger,
                        {.program = "metascale", .retries_failed = retries_failed});
  }
  SubmitPlan plan_to_retry() const {
    return plan_submit(definition_, Ledger(results()),
                       {.program = "metascale", .retries_failed = true});
  }
  // Runs that were handed over, by their number here.
  std::vector<std::string> submitted() const {
    std::vector<std::string> runs;
    for (const Submission& submission : submit().submissions)
      for (const auto& task : submission.tasks) runs.insert(runs.end(), task.begin(), task.end());
    return runs;
  }
  void says_it_runs(std::size_t run, double seconds_ago) const {
    write_heartbeat(folder(run), {.phase = RunPhase::running,
                                  .step = 5,
                                  .steps = 9,
                                  .time = seconds_since_1970() - seconds_ago});
    date_back(folder(run) / "state.json", seconds_ago);
  }
  // Its only attempt, which who started it saw last so long ago, or saw end then.
  void attempt(std::size_t run, AttemptEnd end, double began_seconds_ago,
               double seen_seconds_ago) const {
    const bool is_first = read_attempts(folder(run)).empty();
    const double now = seconds_since_1970();
    const Attempt attempt{.number = is_first ? new_attempt(folder(run)) : 1,
                          .end = end,
                          .job = "41_0",
                          .started = now - began_seconds_ago,
                          .seen = now - seen_seconds_ago,
                          .exit_code = end == AttemptEnd::failed ? int(ExitCode::unavailable) : 0};
    write_attempt(folder(run), attempt);
    date_back(attempt_folder(folder(run), attempt.number) / "attempt.json", seen_seconds_ago);
  }
  void is_done(std::size_t run) const { std::ofstream(folder(run) / "DONE") << "\n"; }
  void has_failed(std::size_t run) const { std::ofstream(folder(run) / "FAILED") << "too slow\n"; }
  // Instead of what the sweep says of it.
  void has_parent(std::size_t run, const std::string& parent) const {
    RunConfig config = read_run_config(folder(run) / "config.yaml");
    config.parent = {.run = parent, .step = 5};
    std::ofstream(folder(run) / "config.yaml") << to_yaml(config);
  }
  bool is_failed(std::size_t run) const { return fs::exists(folder(run) / "FAILED"); }
  void was_submitted_before(double seconds) const {
    date_back(submission_folder(results(), 1) / "job.sh", seconds);
  }
  RunOverview look(std::size_t run) const {
    const Overview overview = overview_of(Ledger(results()));
    return *overview.find(ids_[run]);
  }
  const std::string& id(std::size_t run) const { return ids_[run]; }
  fs::path results() const { return folder_.path / "results"; }

 private:
  fs::path folder(std::size_t run) const { return results() / "runs" / ids_[run]; }
  Folder folder_;
  Definition definition_;
  std::vector<std::string> ids_;
};

// The two runs in Slurm's queue.
struct HandedOver {
  FakeSlurm slurm;
  TwoRuns runs;

  explicit HandedOver(const std::vector<std::string>& overrides = {}) : runs(overrides) {
    REQUIRE(runs.submitted().size() == 2);
  }
};

// One of them is done, and the other was handed over so many seconds ago.
struct OldJob : HandedOver {
  explicit OldJob(double seconds) {
    runs.is_done(1);
    runs.was_submitted_before(seconds);
  }
};

}  // namespace

TEST_CASE("submit: a job that has yet to speak is not taken for one that hangs") {
  const HandedOver handed;
  const auto& [slurm, runs] = handed;
  runs.is_done(1);
  runs.says_it_runs(0, hour);
  slurm.forgets_all();
  CHECK(runs.look(0).word == "lost");
  REQUIRE(runs.submitted() == std::vector{runs.id(0)});
  CHECK(runs.look(0).word == "queued");
  CHECK(runs.submitted().empty());
  slurm.starts_all(5);
  CHECK(runs.look(0).word == "running");
  CHECK(runs.look(0).message == "starting");
  CHECK(runs.submitted().empty());
  CHECK(slurm.cancelled().empty());
}

TEST_CASE("submit: a job that was started again is not silent since what it said before") {
  const OldJob handed(5 * hour);
  const auto& [slurm, runs] = handed;
  runs.says_it_runs(0, hour);
  slurm.starts_all(15 * minute);
  CHECK(runs.look(0).message == "starting");
  CHECK(runs.submitted().empty());
  slurm.starts_all((24 * 60 + 15) * minute);  // it said that in this start
  CHECK(runs.look(0).word == "lost");
  CHECK_THAT(runs.look(0).message, Contains("its job runs, but it has said nothing for 1h"));
  CHECK(runs.submitted() == std::vector{runs.id(0)});
  CHECK(slurm.cancelled() == "41_0\n");
}

TEST_CASE("submit: a job is not taken back from the runs that share it with one that hangs") {
  const HandedOver handed({"resources={default: {runs_per_node: 2}}"});
  const auto& [slurm, runs] = handed;
  runs.was_submitted_before(5 * hour);
  runs.says_it_runs(0, hour);
  runs.says_it_runs(1, 1);
  slurm.starts_all(240 * minute);
  const SubmitResult result = runs.submit();
  CHECK(result.submissions.empty());
  REQUIRE(result.left_out.size() == 2);
  CHECK_THAT(result.left_out[0].why, Contains("said nothing for 1h") &&
                                         Contains("its job 41_0 goes on with " + runs.id(1)) &&
                                         Contains("metascale submit once that has ended"));
  CHECK(slurm.cancelled().empty());
  runs.is_done(1);
  CHECK(runs.submitted() == std::vector{runs.id(0)});
  CHECK(slurm.cancelled() == "41_0\n");
}

TEST_CASE("submit: a run that ended without a mark does not keep the job of one that hangs") {
  const HandedOver handed({"resources={default: {runs_per_node: 2}}"});
  const auto& [slurm, runs] = handed;
  runs.was_submitted_before(5 * hour);
  runs.says_it_runs(0, hour);
  runs.attempt(1, AttemptEnd::failed, 9 * minute, 8 * minute);  // its job may wait for a lease
  slurm.starts_all(240 * minute);
  const SubmitResult waiting = runs.submit();
  CHECK(waiting.submissions.empty());
  CHECK_THAT(waiting.left_out.at(0).why, Contains("its job 41_0 goes on with " + runs.id(1)));
  CHECK(slurm.cancelled().empty());
  runs.attempt(1, AttemptEnd::failed, 2 * hour, hour);
  CHECK(runs.look(1).word == "lost");
  CHECK_THAT(runs.look(1).message,
             Contains("its job runs, but its last attempt ended with exit code 69, 1h 00m ago"));
  CHECK(runs.submitted() == std::vector{runs.id(0), runs.id(1)});
  CHECK(slurm.cancelled() == "41_0\n");
}

TEST_CASE("submit: a run whose attempt failed waits for its job to end with those that go on") {
  const HandedOver handed({"resources={default: {runs_per_node: 2}}"});
  const auto& [slurm, runs] = handed;
  runs.was_submitted_before(5 * hour);
  runs.says_it_runs(0, 1);
  runs.attempt(1, AttemptEnd::failed, 2 * hour, hour);
  slurm.starts_all(240 * minute);
  const SubmitResult result = runs.submit();
  CHECK(result.submissions.empty());
  CHECK_THAT(result.left_out.at(1).why,
             Contains("exit code 69") && Contains("its job 41_0 goes on with " + runs.id(0)));
  CHECK(slurm.cancelled().empty());
}

TEST_CASE("submit: a job that was started again since an attempt failed goes on with its run") {
  const OldJob handed(5 * hour);
  const auto& [slurm, runs] = handed;
  runs.attempt(0, AttemptEnd::failed, 2 * hour, hour);
  slurm.starts_all(30 * minute);
  CHECK(runs.look(0).message == "starting");
  CHECK(runs.submitted().empty());
  slurm.starts_all(119 * minute);
  CHECK(runs.look(0).word == "lost");
}

TEST_CASE("submit: a job that was started two hours ago and brought no word hangs") {
  const OldJob handed(9 * hour);
  const auto& [slurm, runs] = handed;
  if (GENERATE(true, false)) runs.says_it_runs(0, 8 * hour);  // in an earlier start
  slurm.starts_all(119 * minute);
  CHECK(runs.look(0).message == "starting");
  CHECK(runs.submitted().empty());
  CHECK(slurm.cancelled().empty());
  slurm.starts_all(121 * minute);
  CHECK(runs.look(0).word == "lost");
  CHECK_THAT(runs.look(0).message, Contains("was started 2h 01m ago, and has not said a word"));
  CHECK(runs.submitted() == std::vector{runs.id(0)});
  CHECK(slurm.cancelled() == "41_0\n");
}

TEST_CASE("submit: a new attempt in an old job has two hours of its own for its first word") {
  const OldJob handed(9 * hour);
  const auto& [slurm, runs] = handed;
  runs.says_it_runs(0, 7 * hour);
  slurm.starts_all(480 * minute);
  runs.attempt(0, AttemptEnd::running, 119 * minute, 1);
  CHECK(runs.look(0).message == "starting");
  CHECK(runs.submitted().empty());
  runs.attempt(0, AttemptEnd::running, 121 * minute, 1);
  CHECK(runs.look(0).word == "lost");
  runs.attempt(0, AttemptEnd::running, 121 * minute, 20 * minute);  // with who started it
  CHECK(runs.look(0).word == "lost");
  CHECK(runs.submitted() == std::vector{runs.id(0)});
}

TEST_CASE("submit: an attempt that is just being made has its time, too") {
  const OldJob handed(9 * hour);
  const auto& [slurm, runs] = handed;
  slurm.starts_all(480 * minute);
  new_attempt(runs.results() / "runs" / runs.id(0));  // and no attempt.json yet
  CHECK(runs.look(0).message == "starting");
  CHECK(runs.submitted().empty());
}

TEST_CASE("submit: a run that saved may wait for the others of an old job") {
  const OldJob handed(9 * hour);
  const auto& [slurm, runs] = handed;
  runs.attempt(0, AttemptEnd::saved, 7 * hour, hour);
  slurm.starts_all(480 * minute);
  CHECK(runs.look(0).word == "running");
  CHECK(runs.submitted().empty());
}

TEST_CASE("submit: a job that is suspended does not hang, and has ten minutes once it goes on") {
  const OldJob handed(20 * hour);
  const auto& [slurm, runs] = handed;
  const long used = 300 * minute, suspended = 600 * minute;
  runs.says_it_runs(0, double(suspended + 11 * minute));
  slurm.starts_all(used, suspended, GENERATE("SUSPENDED", "STOPPED"));
  CHECK(runs.look(0).word == "running");
  CHECK(runs.look(0).message == "its job is suspended");
  CHECK(runs.submitted().empty());
  slurm.starts_all(used, suspended);
  runs.says_it_runs(0, double(suspended + 9 * minute));
  CHECK(runs.look(0).word == "running");
  CHECK(runs.submitted().empty());
  CHECK(slurm.cancelled().empty());
  runs.says_it_runs(0, double(suspended + 11 * minute));
  CHECK(runs.look(0).word == "lost");
  CHECK_THAT(runs.look(0).message, Contains("has said nothing for 1") && Contains("m "));
  CHECK(runs.submitted() == std::vector{runs.id(0)});
  CHECK(slurm.cancelled() == "41_0\n");
}

TEST_CASE("submit: a job that hangs is taken back by the batch system that has it") {
  const OldJob handed(5 * hour);
  const auto& [slurm, runs] = handed;
  runs.says_it_runs(0, hour);
  slurm.starts_all(240 * minute);
  const SubmitResult result = runs.submit_changed(
      {"launch={template: {submit: [echo, '8'], state: ['false'], cancel: ['false']}}"}, false);
  CHECK(slurm.cancelled() == "41_0\n");
  REQUIRE(result.submissions.size() == 1);
  CHECK(result.submissions[0].jobs == std::vector<std::string>{"8"});
}

TEST_CASE("submit: failed runs are handed over again with what the file says now, if asked to") {
  const HandedOver handed({"resources={default: {time: 1h}}"});
  const auto& [slurm, runs] = handed;
  runs.has_failed(0);
  runs.is_done(1);
  slurm.forgets_all();
  const std::vector<std::string> now{"resources={default: {time: 2h}}",
                                     "log={checkpoint_every: 3 steps}"};
  const SubmitResult refused = runs.submit_changed(now, false);
  CHECK(refused.submissions.empty());
  CHECK_THAT(refused.left_out.at(0).why,
             Contains("metascale retry, or submit --retry after changing the file"));
  CHECK(runs.is_failed(0));
  CHECK(runs.plan_to_retry().result.submissions.size() == 1);
  CHECK(runs.is_failed(0));  // that was on paper
  const SubmitResult again = runs.submit_changed(now, true);
  CHECK_FALSE(runs.is_failed(0));
  REQUIRE(again.submissions.size() == 1);
  CHECK(again.submissions[0].tasks == std::vector<std::vector<std::string>>{{runs.id(0)}});
  CHECK(again.submissions[0].resources.time == 2 * 3600);
  const fs::path config = runs.results() / "runs" / runs.id(0) / "config.yaml";
  CHECK(read_run_config(config).log.checkpoint_every == 3);
  CHECK(runs.look(0).word == "queued");
  CHECK(runs.submit_changed(now, true).submissions.empty());  // nothing twice
}

TEST_CASE("submit: a failed run whose job goes on with another one keeps its mark") {
  const HandedOver handed({"resources={default: {runs_per_node: 2}}"});
  const auto& [slurm, runs] = handed;
  runs.has_failed(0);
  runs.says_it_runs(1, 1);
  slurm.starts_all(5 * minute);
  const SubmitResult result = runs.submit_changed({}, true);
  CHECK(result.submissions.empty());
  CHECK_THAT(result.left_out.at(0).why,
             Contains("its job 41_0 goes on with " + runs.id(1)) &&
                 Contains("metascale submit --retry once that has ended"));
  CHECK(runs.is_failed(0));
}

TEST_CASE("retry: a failed run beside one that hangs is told of submit, which helps") {
  const HandedOver handed({"resources={default: {runs_per_node: 2}}"});
  const auto& [slurm, runs] = handed;
  runs.was_submitted_before(5 * hour);
  runs.says_it_runs(0, hour);
  runs.has_failed(1);
  slurm.starts_all(240 * minute);
  const Ledger ledger(runs.results());
  const SubmitResult early = retry_runs(ledger, {runs.id(1)});
  CHECK(early.submissions.empty());
  CHECK_THAT(early.left_out.at(0).why, Contains("its job 41_0 hangs with " + runs.id(0)) &&
                                           Contains("call metascale submit, which takes"));
  CHECK(runs.submitted() == std::vector{runs.id(0)});
  CHECK(slurm.cancelled() == "41_0\n");
  CHECK(retry_runs(ledger, {runs.id(1)}).submissions.size() == 1);
}

TEST_CASE("status: a run that waits for a parent that is done says who starts it") {
  const HandedOver handed;
  const auto& [slurm, runs] = handed;
  slurm.forgets_all();
  const std::string suffix = GENERATE("", ", which failed");
  runs.has_parent(0, runs.id(1));
  write_heartbeat(runs.results() / "runs" / runs.id(0),
                  {.phase = RunPhase::pending, .message = "waiting for " + runs.id(1) + suffix});
  CHECK(runs.look(0).message == "waiting for " + runs.id(1) + suffix);
  runs.is_done(1);
  CHECK(runs.look(0).word == "pending");
  CHECK(runs.look(0).message == "its parent is done; metascale submit starts it");
  CHECK(runs.submitted() == std::vector{runs.id(0)});
  CHECK(runs.look(0).word == "queued");
}

TEST_CASE("submit: all that the file says is said by arguments, and nothing filters the answer") {
  const FakeSlurm slurm;
  const Variable clusters("SBATCH_CLUSTERS", "other"), dependency("SBATCH_DEPENDENCY", "after:7"),
      partition("SQUEUE_PARTITION", "other");
  const TwoRuns runs({"resources={default: {time: 1h, cpus: 2, gpus: 1, memory: 16G}}",
                      "launch={slurm: {partition: main, account: lab, qos: high, constraint: a, "
                      "lines: [--nice 5], environment: [PATH]}}"});
  CHECK(runs.submitted().size() == 2);
  CHECK(runs.submitted().empty());
  const Submission submission = read_submissions(runs.results()).at(0);
  // They go before variables of the shell and lines of the script.
  CHECK(slurm.called() ==
        fmt::format("--parsable --job-name={} --array=0-1 --signal=B:USR2@120 --open-mode=append "
                    "--requeue --time=0-01:00:00 --nodes=1 --ntasks=1 --cpus-per-task=2 "
                    "--gres=gpu:1 --mem=16G --output=%a.out --export=PATH --partition=main "
                    "--account=lab --qos=high --constraint=a --nice=5 job.sh\n",
                    submission.name));
}

TEST_CASE("submit: what the file does not say may come from the shell") {
  const FakeSlurm slurm;
  const Variable partition("SBATCH_PARTITION", "other");
  CHECK(TwoRuns().submitted().size() == 2);
  CHECK_THAT(slurm.called(), Contains(" --output=%a.out --export=") && !Contains("--partition") &&
                                 Contains("SBATCH_PARTITION=other\n"));
}

TEST_CASE("submit: a second one at the same time is told of the sweep") {
  const FakeSlurm slurm;
  const TwoRuns runs;
  fs::create_directories(runs.results());
  const RunLease other(runs.results());
  CHECK_THROWS_WITH(runs.submit(), Contains("this sweep is being worked on by process"));
}

TEST_CASE("submit: says that on_failure: stop is not for a batch system") {
  const FakeSlurm slurm;
  CHECK(TwoRuns().submit().remarks.empty());
  const SubmitResult result = TwoRuns({"policy={on_failure: stop}"}).submit();
  REQUIRE(result.remarks.size() == 1);
  CHECK_THAT(result.remarks[0], Contains("policy.on_failure: stop") && Contains("metascale run"));
}
