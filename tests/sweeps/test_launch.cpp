// What a job of a batch system does, against a shell script that stands for `metascale train`.
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>

#include "core/atomic_file.hpp"
#include "core/run_lease.hpp"
#include "sweeps/attempt.hpp"
#include "sweeps/launch.hpp"
#include "sweeps/ledger.hpp"
#include "sweeps/submission.hpp"
#include "tests/sweeps/definitions.hpp"
#include "tests/sweeps/fake_slurm.hpp"
#include "tests/sweeps/program_folder.hpp"

using namespace metascale;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

constexpr double hour = 3600;

// One run, in a job of an hour. Its batch system can do nothing, unless there is a queue.
class OneTask {
 public:
  explicit OneTask(std::int64_t max_stalled_timeouts = 3,
                   const std::vector<std::string>& overrides = {}) {
    const Definition definition = small_definition(overrides);
    const Resolution resolution = resolve(definition);
    for (const PlannedRun& run : resolution.runs)
      if (run.config.parent.run == resolution.runs[0].config.id && child_.empty())
        child_ = ledger_folder(run.config.id);
    Ledger ledger(folder_.path);
    ledger.update(definition, resolution);
    run_ = ledger.run_folder(resolution.runs[0].config.id);
    submission_.sweep = "small";
    submission_.how = TemplateLaunch{.submit = {"false"}, .state = {"false"}, .cancel = {"false"}};
    submission_.resources.time = hour;
    submission_.job.max_stalled_timeouts = max_stalled_timeouts;
    submission_.tasks = {{run_.filename()}};
    create_submission(folder_.path, submission_);
    submission_.jobs = {"7"};
    write_submission(folder_.path, submission_);
  }

  // A queue in which each job that is asked for is there, and a new one is job 8.
  void has_queue() {
    const auto script = [&](const char* name, const char* text) {
      const fs::path file = folder_.path / name;
      std::ofstream(file) << "#!/bin/sh\n" << text << "\n";
      chmod(file.c_str(), 0755);
      return file.string();
    };
    submission_.how = TemplateLaunch{.submit = {script("submit", "echo 8")},
                                     .state = {script("state", "echo there")},
                                     .cancel = {"false"}};
    write_submission(folder_.path, submission_);
  }
  void has_slurm() {
    submission_.how = SlurmLaunch{};
    submission_.jobs = {"44_0"};
    write_submission(folder_.path, submission_);
  }
  void has_several_nodes() {
    submission_.resources.nodes = 2;
    write_submission(folder_.path, submission_);
  }
  // The limit is the site's.
  void has_no_time() {
    submission_.resources.time = 0;
    write_submission(folder_.path, submission_);
  }
  // A run that waits for ours was handed over, as job 6, and its job found ours unfinished.
  void has_child(bool has_looked) {
    Submission child = submission_;
    child.tasks = {{child_.filename()}};
    child.parents = {run_.filename()};
    create_submission(folder_.path, child);
    child.jobs = {"6"};
    child.in_doubt = false;
    write_submission(folder_.path, child);
    if (has_looked)
      write_heartbeat(child_, {.phase = RunPhase::pending,
                               .message = "waiting for " + run_.filename().string()});
  }
  void notes(const std::vector<std::string>& jobs) {
    submission_.jobs = jobs;
    submission_.in_doubt = jobs.empty();
    write_submission(folder_.path, submission_);
  }
  // As another process would.
  void is_handed_over_again() {
    Submission again = submission_;
    create_submission(folder_.path, again);
    again.jobs = {"9"};
    again.in_doubt = false;
    write_submission(folder_.path, again);
  }
  // As by another process that hands over.
  std::unique_ptr<RunLease> sweep_lease() const { return std::make_unique<RunLease>(folder_.path); }
  std::vector<Submission> submissions() const { return read_submissions(folder_.path); }

  // job_seconds: for which the job runs already. A program that makes $run/ready is sent the
  // signal, TERM if nothing else is said.
  ExitCode launch(
      const std::string& script, double job_seconds, int signal = SIGTERM,
      const std::function<void()>& when_ready = [] {}) {
    said_.clear();
    const auto asked = [&] {
      if (!fs::exists(run_ / "ready")) return 0;
      when_ready();
      return signal;
    };
    return launch_task(submission_folder(folder_.path, submission_.number), 0,
                       {.program = folder_.program(script),
                        .job_seconds = job_seconds,
                        .stop_signal = asked,
                        .say = [&](const std::string& line) { said_ += line + "\n"; }});
  }
  // One that was cut off by its time limit before a checkpoint.
  void was_stuck() const {
    write_attempt(run_, {.number = new_attempt(run_), .end = AttemptEnd::timed_out});
  }
  const fs::path& run() const { return run_; }
  const std::string& said() const { return said_; }

 private:
  fs::path ledger_folder(const std::string& id) const {
    return Ledger(folder_.path).run_folder(id);
  }
  Folder folder_;
  fs::path run_, child_;
  Submission submission_;
  std::string said_;
};

const char* const saves_when_asked =
    "trap 'exit 75' TERM; touch $run/ready; while :; do sleep 0.02; done";
const char* const saves_never = "trap '' TERM USR2; touch $run/ready; sleep 60";

}  // namespace

TEST_CASE(
    "launch: an attempt's limit is what setup and attempts before it have left of the job's") {
  OneTask task;
  const std::string fails_once =
      "if [ -e $run/once ]; then touch $run/DONE; else touch $run/once; exit 3; fi";
  CHECK(task.launch(fails_once, 0.75 * hour) == ExitCode::good);
  const auto attempts = read_attempts(task.run());
  REQUIRE(attempts.size() == 2);
  CHECK(attempts[0].limit <= 0.25 * hour);
  CHECK(attempts[0].limit > 0.2 * hour);
  CHECK(attempts[0].started + attempts[0].limit ==
        Approx(attempts[1].started + attempts[1].limit).epsilon(0).margin(0.01));
  CHECK(attempts[1].limit < attempts[0].limit);
}

TEST_CASE("launch: the time limit that comes once too often without a checkpoint ends the run") {
  OneTask task(2);
  task.was_stuck();
  CHECK(task.launch(saves_when_asked, hour) == ExitCode::run_failed);
  CHECK_THAT(read_reason(task.run() / "FAILED"), Contains("2 time limits in a row"));
  CHECK(read_attempts(task.run()).back().end == AttemptEnd::failed);
  CHECK_THAT(task.said(), !Contains("metascale submit goes on"));  // no new start was asked for
}

TEST_CASE("launch: before that the run goes on, and so it does however often it is preempted") {
  OneTask task(3);
  task.was_stuck();
  SECTION("the time limit") {
    CHECK(task.launch(saves_when_asked, hour) == ExitCode::saved);
    CHECK(read_attempts(task.run()).back().end == AttemptEnd::timed_out);
    CHECK_THAT(task.said(), Contains("metascale submit goes on"));
  }
  SECTION("a preemption") {
    task.was_stuck();
    CHECK(task.launch(saves_when_asked, 0) == ExitCode::saved);
    CHECK(read_attempts(task.run()).back().end == AttemptEnd::saved);
  }
  CHECK_FALSE(fs::exists(task.run() / "FAILED"));
}

TEST_CASE("launch: a run that has stalled is not started again") {
  OneTask task(2);
  task.was_stuck();
  task.was_stuck();
  CHECK(task.launch("touch $run/DONE", 0) == ExitCode::good);
  CHECK(fs::exists(task.run() / "FAILED"));
  CHECK_FALSE(fs::exists(task.run() / "DONE"));
}

TEST_CASE("launch: a job whose id was noted only after it began is followed by a new one") {
  OneTask task;
  task.has_queue();
  task.notes({});
  CHECK(task.launch(saves_when_asked, hour, SIGTERM, [&] { task.notes({"7"}); }) ==
        ExitCode::saved);
  INFO(task.said());
  REQUIRE(task.submissions().size() == 2);
  CHECK(task.submissions()[1].jobs == std::vector<std::string>{"8"});
  CHECK_THAT(task.said(),
             Contains("submission 0002: 1 runs") && Contains("the time limit: a new job goes on"));
}

TEST_CASE(
    "launch: a warning where the limit is the site's is a time-out, and a new start follows") {
  OneTask task;
  task.has_no_time();
  SECTION("Slurm") {
    const FakeSlurm slurm;
    task.has_slurm();
    CHECK(task.launch(saves_when_asked, 0, SIGUSR2) == ExitCode::saved);
    CHECK(read_attempts(task.run()).back().end == AttemptEnd::timed_out);
    CHECK(slurm.requeued() == "44_0\n");
  }
  SECTION("another system, which may send it before it deletes the job") {
    CHECK(task.launch(saves_when_asked, 0, SIGUSR2) == ExitCode::saved);
    CHECK(read_attempts(task.run()).back().end != AttemptEnd::timed_out);
  }
}

TEST_CASE("launch: Slurm's warning is of a time limit, also where that was lowered since") {
  OneTask task;
  SECTION("Slurm") {
    const FakeSlurm slurm;
    task.has_slurm();
    CHECK(task.launch(saves_when_asked, 0, SIGUSR2) == ExitCode::saved);  // an hour early
    CHECK(read_attempts(task.run()).back().end == AttemptEnd::timed_out);
    CHECK(slurm.requeued() == "44_0\n");
  }
  SECTION("another system") {
    CHECK(task.launch(saves_when_asked, 0, SIGUSR2) == ExitCode::saved);
    CHECK(read_attempts(task.run()).back().end == AttemptEnd::saved);
  }
}

TEST_CASE("launch: a run over several nodes that ends badly is for another start of its job") {
  const FakeSlurm slurm;
  OneTask task;
  task.has_slurm();
  task.has_several_nodes();
  const std::string code = GENERATE("3", "1", "69", "233", "6");  // srun has codes of its own
  const std::string script = "[ $code = 69 ] || echo rank 1 was lost >$run/FAILED; exit $code";
  const std::string ends = "code=" + code + "; " + script;
  CHECK(task.launch(ends, 0) == ExitCode::saved);
  CHECK(slurm.requeued() == "44_0\n");
  CHECK_FALSE(fs::exists(task.run() / "FAILED"));
  CHECK_THAT(task.said(), Contains("this job is started again"));
  REQUIRE(read_attempts(task.run()).size() == 1);  // not in this one
  CHECK(read_attempts(task.run())[0].end == AttemptEnd::lost);
  SECTION("up to policy.retries, without a new checkpoint") {
    CHECK(task.launch(ends, 0) == ExitCode::run_failed);
    CHECK(slurm.requeued() == "44_0\n");
    CHECK(read_attempts(task.run()).back().end == AttemptEnd::failed);
    CHECK(fs::exists(task.run() / "FAILED") == (code != "69"));
    if (code != "69")
      CHECK_THAT(read_reason(task.run() / "FAILED"),
                 Contains("rank 1 was lost") && Contains("2 starts in a row"));
  }
  SECTION("with one as often as it gets on") {
    CHECK(task.launch("mkdir -p $run/checkpoints/step-0000000004; " + ends, 0) == ExitCode::saved);
    CHECK(slurm.requeued() == "44_0\n44_0\n");
    CHECK(task.launch(ends, 0) == ExitCode::saved);
    CHECK(task.launch("touch $run/DONE", 0) == ExitCode::good);
  }
}

TEST_CASE("launch: a run over several nodes that its input refuses has failed at once") {
  const FakeSlurm slurm;
  OneTask task;
  task.has_slurm();
  task.has_several_nodes();
  const std::string code = GENERATE("2", "65");
  CHECK(task.launch("exit " + code, 0) == ExitCode::run_failed);
  CHECK(slurm.requeued().empty());
  CHECK(fs::exists(task.run() / "FAILED"));
}

TEST_CASE("launch: what a rank said when its node took the job with it is not the last word") {
  OneTask task;
  task.has_several_nodes();
  write_attempt(task.run(), {.number = new_attempt(task.run()), .end = AttemptEnd::running});
  std::ofstream(task.run() / "FAILED") << "rank 0 was lost\n";
  CHECK(task.launch("touch $run/DONE", 0) == ExitCode::good);
  CHECK(fs::exists(task.run() / "DONE"));
}

TEST_CASE("launch: what ends badly while its job is stopped has not failed of itself") {
  const FakeSlurm slurm;
  OneTask task;
  task.has_slurm();
  task.has_several_nodes();
  const char* const code = GENERATE("1", "143", "233");  // srun has codes of its own
  CHECK(task.launch(fmt::format("trap 'echo rank 1 was lost >$run/FAILED; exit {}' TERM; "
                                "touch $run/ready; while :; do sleep 0.02; done",
                                code),
                    0) == ExitCode::saved);
  CHECK(read_attempts(task.run()).back().end == AttemptEnd::killed);
  CHECK_FALSE(fs::exists(task.run() / "FAILED"));
  CHECK(slurm.requeued().empty());  // Slurm starts it again: --requeue
}

TEST_CASE("launch: where no job is started again a new one goes on with what several nodes lost") {
  OneTask task;
  task.has_queue();
  task.has_several_nodes();
  CHECK(task.launch("exit 3", 0) == ExitCode::saved);
  CHECK(task.submissions().size() == 2);
  CHECK_THAT(task.said(), Contains("perhaps a node was lost: a new job goes on"));
}

TEST_CASE("launch: a run that was handed over again in between is left to its new job") {
  OneTask task;
  task.is_handed_over_again();
  CHECK(task.launch("touch $run/DONE", 0) == ExitCode::good);
  CHECK_FALSE(fs::exists(task.run() / "DONE"));
  CHECK_FALSE(fs::exists(task.run() / "state.json"));  // which speaks for the new job
  CHECK_THAT(task.said(), Contains("submission 0002 has it now"));
}

TEST_CASE("launch: a submission that cannot be read keeps no run from starting") {
  OneTask task;
  task.is_handed_over_again();
  write_file_atomically(task.run() / "../../submissions/0002/submission.json", "{");
  CHECK(task.launch("touch $run/DONE", 0) == ExitCode::good);
  CHECK(fs::exists(task.run() / "DONE"));
  CHECK_THAT(task.said(), Contains("submission.json"));
}

TEST_CASE("launch: a controller that is busy is asked again for a new start") {
  const FakeSlurm slurm;
  slurm.is_busy_once();
  OneTask task;
  task.has_slurm();
  CHECK(task.launch(saves_when_asked, hour - 60, SIGUSR2) == ExitCode::saved);
  CHECK(slurm.requeued() == "44_0\n44_0\n");
  CHECK_THAT(task.said(), Contains("this job is started again"));
}

TEST_CASE("launch: a child whose job found us unfinished is handed over, though it is listed") {
  OneTask task(3, {"axes.length=[100k tokens, 200k tokens]",
                   "training.schedule={kind: wsd, warmup: 2 steps}"});
  task.has_queue();
  const bool has_looked = GENERATE(true, false);
  task.has_child(has_looked);
  CHECK(task.launch("touch $run/DONE", 0) == ExitCode::good);
  INFO(task.said());
  CHECK(task.submissions().size() == (has_looked ? 3 : 2));
  CHECK_THAT(task.said(), !Contains("no new job was handed over for it"));  // all is well
}

TEST_CASE("launch: who hands over is waited for as long as it may be dead, or our job has left") {
  CHECK(patience(1e9) > RunLease::default_stale_seconds);
  CHECK(patience(1e9) < RunLease::default_stale_seconds + 60);
  CHECK(patience(115) == 100);
  CHECK(patience(5) == 0);
  OneTask task(3, {"axes.length=[100k tokens, 200k tokens]",
                   "training.schedule={kind: wsd, warmup: 2 steps}"});
  task.has_queue();
  task.has_child(true);
  const auto other = task.sweep_lease();
  const auto begin = std::chrono::steady_clock::now();
  CHECK(task.launch("touch $run/DONE", hour - 18) == ExitCode::good);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(25));
  CHECK_THAT(task.said(), Contains("metascale submit starts what waits"));
}

TEST_CASE("launch: no new job is told of where none was handed over") {
  OneTask task;
  task.has_queue();
  CHECK(task.launch(saves_when_asked, hour, SIGTERM, [&] {
    if (task.submissions().size() == 1) task.is_handed_over_again();
  }) == ExitCode::saved);
  CHECK(task.submissions().size() == 2);
  CHECK_THAT(task.said(), Contains("no new job goes on with it (queued)") &&
                              Contains("metascale submit hands it over") &&
                              !Contains("the time limit: a new job"));
}

TEST_CASE("launch: runs that are asked to save are waited for until shortly before the limit") {
  CHECK(last_moment(10000, 120) == 10000 - 15);
  CHECK(last_moment(10000, 20) == 10000 - 5);  // a quarter
  CHECK(last_moment(0, 120) == 0);             // there is no limit
}

TEST_CASE("launch: a run that does not save in time is ended, and counts as a time-out") {
  OneTask task(2);
  const double one_second_left = hour - 15 - 1;
  SECTION("below the cap it goes on") {
    CHECK(task.launch(saves_never, one_second_left, SIGUSR2) == ExitCode::saved);
    CHECK(read_attempts(task.run()).back().end == AttemptEnd::timed_out);
    CHECK_THAT(task.said(), Contains("did not save in time") &&
                                Contains("metascale submit goes on"));  // a start was asked for
    CHECK_FALSE(fs::exists(task.run() / "FAILED"));
  }
  SECTION("at the cap it has failed") {
    task.was_stuck();
    CHECK(task.launch(saves_never, one_second_left, SIGUSR2) == ExitCode::run_failed);
    CHECK_THAT(read_reason(task.run() / "FAILED"), Contains("2 time limits in a row"));
    CHECK_THAT(task.said(), !Contains("metascale submit goes on"));
  }
  CHECK(read_attempts(task.run()).back().exit_code == 128 + SIGKILL);
}
