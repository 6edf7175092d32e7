// How runs stand, out of their files and what a batch system says.
#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <sstream>

#include "core/heartbeat.hpp"
#include "sweeps/overview.hpp"
#include "sweeps/submit.hpp"
#include "sweeps/submit/grouping.hpp"
#include "tests/support/file_dates.hpp"
#include "tests/sweeps/definitions.hpp"
#include "tests/sweeps/program_folder.hpp"

using namespace metascale;
using Catch::Contains;
using testing::date_back;

namespace {

constexpr double dead_seconds = 2 * heartbeat_timeout;

// Says what it is told to say.
class Told : public Scheduler {
 public:
  explicit Told(std::optional<JobStates> states) : states_(std::move(states)) {}
  void submit(const std::filesystem::path&, Submission&, const std::function<void()>&) override {}
  std::string scripts(const std::filesystem::path&, const Submission&) override { return ""; }
  std::optional<JobStates> states(const std::vector<const Submission*>&, double,
                                  std::string& complaint) override {
    if (!states_) complaint = "squeue: no answer in time";
    return states_;
  }
  std::vector<std::string> find(const Submission&) override { return {}; }
  void cancel(const std::vector<std::string>&) override {}
  std::string requeue(const std::string&) override { return ""; }
  std::size_t most_tasks() override { return 1; }

 private:
  std::optional<JobStates> states_;
};

// One run, handed over as job 44_0.
class OneRun {
 public:
  OneRun() {
    job_ = folder_.job("rwkv7-30k-1xC-s1-00000000");
    std::ofstream(job_.folder / "config.yaml") << "schema: 1\n";
    std::ofstream(folder_.path / "plan.csv") << "id,steps,batch_tokens,tokens\n"
                                             << job_.id << ",100,10,1000\n";
    std::ofstream(folder_.path / "sweep.yaml") << "budget: {price_per_core_hour: 3}\n";
    Submission submission{.sweep = "s", .how = SlurmLaunch{}};
    submission.resources.cpus = 2;
    submission.tasks = {{job_.id}};
    create_submission(folder_.path, submission);
    submission.jobs = {"44_0"};
    write_submission(folder_.path, submission);
  }
  void beat(RunPhase phase, double seconds_ago) const {
    write_heartbeat(job_.folder, {.phase = phase,
                                  .step = 50,
                                  .steps = 100,
                                  .loss = 2,
                                  .tokens_per_second = 100,
                                  .time = seconds_since_1970() - seconds_ago});
    date_back(job_.folder / "state.json", seconds_ago);
  }
  void attempt(AttemptEnd end, double began_seconds_ago, double seconds,
               std::optional<double> joules = {}) const {
    const double started = seconds_since_1970() - began_seconds_ago;
    Attempt attempt{.number = new_attempt(job_.folder),
                    .end = end,
                    .job = "44_0",
                    .node = "n1",
                    .started = started,
                    .seen = started + seconds,
                    .cores = 2,
                    .joules = joules};
    write_attempt(job_.folder, attempt);
  }
  void mark(const char* name, const char* text) const { std::ofstream(job_.folder / name) << text; }
  Overview overview(std::optional<JobStates> states) const {
    return overview_of(Ledger(folder_.path), {.scheduler = [states](const Submission&) {
                         return std::make_unique<Told>(states);
                       }});
  }
  std::string word(std::optional<JobStates> states) const { return overview(states).runs[0].word; }

 private:
  Folder folder_;
  Job job_;
};

// Two runs, handed over to three commands that are shell scripts: a job is a file. The first one is
// looked at.
class HandedOver {
 public:
  HandedOver() : definition_(small_definition({launch()})) {
    id_ = resolve(definition_).runs[0].config.id;
    std::filesystem::create_directories(folder_.path / "queue");
    script("submit",
           "n=$(($(cat $here/count 2>/dev/null || echo 0) + 1))\n"
           "echo $n > $here/count; touch $here/queue/$n; echo $n");
    script("state", "[ -e $here/queue/$1 ] && echo there");
    script("cancel", "rm $here/queue/$1");
    const auto first = submitted();
    REQUIRE(first.size() == 1);
    REQUIRE(first[0].tasks[0][0] == id_);
    REQUIRE(first[0].jobs == std::vector<std::string>{"1", "2"});
  }
  void script(const char* name, const char* text) const {
    const auto file = folder_.path / name;
    std::ofstream(file) << "#!/bin/sh\nhere=$(dirname $0)\n" << text << "\n";
    chmod(file.c_str(), 0755);
  }
  std::filesystem::path script_of_job() const {
    return submission_folder(folder_.path / "results", 1) / "job-0.sh";
  }
  void lose_job() const { std::filesystem::remove(folder_.path / "queue/1"); }
  std::vector<Submission> submitted() const {
    Ledger ledger(folder_.path / "results");
    return submit_sweep(definition_, ledger, {.program = "metascale"}).submissions;
  }
  std::string word() const {
    const Overview overview = overview_of(Ledger(folder_.path / "results"));
    return overview.find(id_)->word;
  }
  std::filesystem::path folder() const { return folder_.path / "results/runs" / id_; }

 private:
  std::string launch() const {
    return fmt::format(
        "launch={{template: {{submit: '{0}/submit {{script}}', state: '{0}/state {{job}}', cancel: "
        "'{0}/cancel {{job}}'}}}}",
        folder_.path.string());
  }
  Folder folder_;
  Definition definition_;
  std::string id_;
};

JobStates job(JobPhase phase, const char* word, const char* reason = "") {
  return {{"44_0", {.phase = phase, .word = word, .reason = reason, .node = ""}}};
}
const JobStates pending = job(JobPhase::queued, "PENDING", "Dependency"),
                running = job(JobPhase::running, "RUNNING"),
                timed_out = job(JobPhase::ended, "TIMEOUT", "TimeLimit"),
                cancelled = job(JobPhase::ended, "CANCELLED"), forgotten;

}  // namespace

TEST_CASE("overview: DONE, CANCELLED and FAILED decide, whatever the batch system says") {
  const OneRun run;
  run.beat(RunPhase::running, 0);
  run.mark("FAILED", "why");
  CHECK(run.word(running) == "failed");
  CHECK(run.overview(running).runs[0].message == "why");
  run.mark("CANCELLED", "");
  CHECK(run.word(running) == "cancelled");
  run.mark("DONE", "");
  CHECK(run.word(timed_out) == "done");
}

TEST_CASE("overview: a run that has said nothing yet is what its job is") {
  const OneRun run;
  CHECK(run.word(pending) == "queued");
  CHECK(run.overview(pending).runs[0].message == "Dependency");
  CHECK(run.word(running) == "running");
  CHECK(run.word(cancelled) == "cancelled");
  CHECK(run.word(timed_out) == "timed_out");
  CHECK(run.word(forgotten) == "pending");    // it can be handed over again
  CHECK(run.word(std::nullopt) == "queued");  // nobody knows
  CHECK_THAT(overview_table(run.overview(std::nullopt), 0),
             Contains("the batch system does not answer") && Contains("as last known"));
}

TEST_CASE("overview: a run is lost where its job vanished in the middle, or is silent for long") {
  const OneRun run;
  run.beat(RunPhase::running, 10);
  CHECK(run.word(running) == "running");
  CHECK(run.word(forgotten) == "running");  // its word is fresh: squeue may have missed it
  CHECK(run.word(pending) == "queued");     // requeued, before it could save
  CHECK(run.word(job(JobPhase::ended, "NODE_FAIL")) == "lost");
  run.beat(RunPhase::running, 400);
  CHECK(run.word(forgotten) == "lost");
  CHECK(run.word(std::nullopt) == "lost");
  CHECK(run.word(running) == "running");  // evaluations may take long
  run.beat(RunPhase::running, 900);
  CHECK(run.word(running) == "lost");
  CHECK_THAT(run.overview(running).runs[0].message, Contains("has said nothing for 15m"));
}

TEST_CASE("overview: a saved run goes on, if a job is there to do it") {
  const OneRun run;
  run.beat(RunPhase::saved, 10);
  run.attempt(AttemptEnd::timed_out, 100, 80);
  CHECK(run.word(pending) == "queued");
  CHECK_THAT(run.overview(pending).runs[0].message, Contains("goes on at step 50"));
  CHECK(run.word(forgotten) == "timed_out");
  run.attempt(AttemptEnd::saved, 15, 5);
  CHECK(run.word(forgotten) == "saved");
}

TEST_CASE("overview: without an answer runs that have begun stand as their files say") {
  const OneRun run;
  run.beat(RunPhase::saved, 10);
  run.attempt(AttemptEnd::saved, 15, 5);
  CHECK(run.word(pending) == "queued");
  CHECK(run.word(std::nullopt) == "saved");
  CHECK(run.overview(std::nullopt).runs[0].message.empty());
  run.attempt(AttemptEnd::timed_out, 5, 5);
  CHECK(run.word(std::nullopt) == "timed_out");
  run.beat(RunPhase::running, 10);
  CHECK(run.word(std::nullopt) == "running");
  run.mark("CANCELLED", "");
  CHECK(run.word(std::nullopt) == "cancelled");
}

TEST_CASE("overview: a line that is cut off shows it") {
  const OneRun run;
  run.beat(RunPhase::saved, 10);
  const std::string whole = overview_table(run.overview(pending), 0),
                    cut = overview_table(run.overview(pending), 50);
  CHECK_THAT(whole, Contains("goes on at step 50; Dependency\n") && !Contains("..."));
  std::istringstream lines(cut);
  for (int row = 0; row < 2; ++row) {
    std::string line;
    REQUIRE(std::getline(lines, line));
    CHECK(line.size() == 50);
    CHECK(line.ends_with("..."));
  }
}

TEST_CASE("overview: only DONE says that a run is done") {
  const OneRun run;
  run.beat(RunPhase::done, 10);  // killed just before it, or to go on to more steps
  CHECK(run.word(forgotten) == "saved");
}

TEST_CASE("overview: device-hours of all attempts, and those to come at the speed so far") {
  const OneRun run;
  run.attempt(AttemptEnd::saved, 10000, 3600);
  run.attempt(AttemptEnd::running, 1810, 0);
  run.beat(RunPhase::running, 10);
  const Overview overview = run.overview(running);
  const RunOverview& row = overview.runs[0];
  CHECK(row.core_hours == Approx(2 * (3600 + 1800) / 3600.).epsilon(0.01));
  CHECK(*row.seconds_left == Approx(1800).epsilon(0.01));  // 50 of 100 steps took as long
  CHECK(*row.hours_left == Approx(1).epsilon(0.01));
  CHECK(*overview.price_per_hour == 3);
  CHECK_FALSE(row.joules);
  CHECK_THAT(overview_table(overview, 0),
             Contains("core-hours: 3.00 used, 1.00 left; cost: 9.00 so far, 3.00 to come") &&
                 Contains("44_0") && Contains("n1"));
}

TEST_CASE("overview: energy is that of all attempts, or missing") {
  const OneRun run;
  run.attempt(AttemptEnd::saved, 300, 100, 1e6);
  run.attempt(AttemptEnd::saved, 200, 100, 2.5e6);
  CHECK(run.overview(forgotten).runs[0].joules == 3.5e6);
  run.attempt(AttemptEnd::saved, 100, 100);
  CHECK_FALSE(run.overview(forgotten).runs[0].joules);
}

TEST_CASE("overview: a run whose job vanished is lost, and submit hands it over again, once") {
  const HandedOver run;
  write_heartbeat(run.folder(), {.phase = RunPhase::running, .step = 5, .steps = 9});
  CHECK(run.word() == "running");
  CHECK(run.submitted().empty());
  run.lose_job();
  CHECK(run.word() == "running");  // its word is fresh
  CHECK(run.submitted().empty());
  date_back(run.folder() / "state.json", 1.5 * heartbeat_timeout);
  CHECK(run.word() == "lost");
  const auto again = run.submitted();
  REQUIRE(again.size() == 1);
  CHECK(again[0].jobs == std::vector<std::string>{"3"});
  CHECK(again[0].tasks ==
        std::vector<std::vector<std::string>>{{run.folder().filename().string()}});
  CHECK(run.word() == "queued");  // and not lost: that job has said nothing yet
  CHECK(run.submitted().empty());
  date_back(run.folder() / "state.json", 6 * dead_seconds);
  CHECK(run.word() == "queued");
  CHECK(run.submitted().empty());
}

TEST_CASE("overview: a job that is there and silent for long hangs, once it has spoken") {
  const HandedOver run;
  write_heartbeat(run.folder(), {.phase = RunPhase::running, .step = 5, .steps = 9});
  date_back(run.folder() / "state.json", 2 * dead_seconds);
  CHECK(run.word() == "queued");
  date_back(run.script_of_job(), 3 * dead_seconds);
  CHECK(run.word() == "lost");
  CHECK(run.submitted().size() == 1);
  CHECK(run.word() == "queued");
}

TEST_CASE(
    "overview: an attempt that says no word for two hours hangs, where only its job is there") {
  const HandedOver run;
  date_back(run.script_of_job(), 24 * 3600);
  Attempt attempt{.number = new_attempt(run.folder()), .seen = seconds_since_1970()};
  const auto began = [&](double seconds_ago) {
    attempt.started = attempt.seen - seconds_ago;
    write_attempt(run.folder(), attempt);
  };
  began(7000);
  CHECK(run.word() == "queued");
  began(7400);
  CHECK(run.word() == "lost");
  attempt.end = AttemptEnd::saved;  // the job may be in the queue again
  began(7400);
  CHECK(run.word() == "queued");
}

TEST_CASE("overview: a child that has found its parent unfinished waits, while its job ends") {
  const HandedOver run;
  CHECK(run.word() == "queued");
  write_heartbeat(run.folder(), {.phase = RunPhase::pending, .message = "waiting for another"});
  CHECK(run.word() == "pending");  // that job does no more for it
  date_back(run.folder() / "state.json", 100);
  CHECK(run.word() == "queued");  // it said so before this job was handed over
}

TEST_CASE(
    "submissions: runs of equal resources share an array, several a job, parents come first") {
  const Definition definition = small_definition(
      {"launch={slurm: {signal_before: 10s}}", "axes.seed=[1, 2, 3]",
       "resources={default: {runs_per_node: 2, time: 1h}, when: [{arm: meta_state, gpus: 1}]}",
       "device=cpu"});
  const Resolution resolution = resolve(definition);
  std::vector<GroupedRun> runs;
  for (const PlannedRun& run : resolution.runs)
    runs.push_back({.run = &run, .parent = "", .behind = ""});
  auto submissions = grouped(definition, runs, 1000, "metascale");
  REQUIRE(submissions.size() == 2);
  CHECK(submissions[0].tasks.size() == 2);  // three runs, two a job
  CHECK(submissions[0].tasks[0].size() == 2);
  CHECK(submissions[1].tasks.size() == 3);  // on GPUs, each alone
  CHECK(submissions[1].resources.gpus == 1);
  CHECK(grouped(definition, runs, 2, "metascale").size() == 3);  // chunks of two tasks
  runs.back().parent = resolution.runs[0].config.id;
  submissions = grouped(definition, runs, 1000, "metascale");
  REQUIRE(submissions.size() == 3);
  CHECK(submissions[0].tasks[0][0] == runs.back().parent);
  CHECK(submissions[2].parents == std::vector{runs.back().parent});
  CHECK(submissions[2].tasks[0][0] == resolution.runs.back().config.id);
}

TEST_CASE("submissions: children whose parents share an array share one, behind all of these") {
  const Folder folder;
  const auto plan = [&](const std::string& resources, const std::vector<std::string>& only = {}) {
    const Definition definition = small_definition(
        {"launch={slurm: {array_cap: 4}}", "axes.seed=[1, 2, 3]",
         "axes.length=[100k tokens, 200k tokens]", "training.schedule={kind: wsd, warmup: 2 steps}",
         "resources=" + resources});
    return plan_submit(definition, Ledger(folder.path / "results"),
                       {.only = only, .program = "metascale"});
  };
  const SubmitPlan equal = plan("{default: {cpus: 1}}");
  REQUIRE(equal.result.submissions.size() == 2);
  const Submission& children = equal.result.submissions[1];
  CHECK(equal.result.submissions[0].tasks.size() == 6);  // trunks
  CHECK(children.tasks.size() == 12);
  CHECK(children.parents.size() == 6);
  CHECK_THAT(equal.scripts, Contains("#SBATCH --array=0-5%4\n") &&
                                Contains("#SBATCH --array=0-11%4\n") &&
                                Contains("#SBATCH --dependency=afterany:JOB-OF-0001\n"));
  const SubmitPlan by_arm = plan("{default: {cpus: 1}, when: [{arm: meta_state, cpus: 2}]}");
  REQUIRE(by_arm.result.submissions.size() == 4);
  for (const Submission& submission : by_arm.result.submissions)
    CHECK(submission.parents.size() == (submission.tasks.size() == 6 ? 3 : 0));
  CHECK_THAT(by_arm.scripts, Contains("afterany:JOB-OF-0001\n"));
}

TEST_CASE("submissions: what was written reads back, and the newest one of a run counts") {
  const Folder folder;
  Submission first{.sweep = "s", .program = "/bin/metascale", .how = SlurmLaunch{}};
  std::get<SlurmLaunch>(first.how).lines = {"--comment=$(x) 'y'\""};
  first.job.setup = {"a\tb"};
  first.parents = {"x", "y"};
  first.tasks = {{"a", "b"}, {"c"}};
  create_submission(folder.path, first);
  first.jobs = {"7_0", "7_1"};
  write_submission(folder.path, first);
  Submission second = first, unused = first;
  second.tasks = {{"b"}};
  second.jobs.clear();
  create_submission(folder.path, second);
  create_submission(folder.path, unused);
  unused.abandoned = true;
  write_submission(folder.path, unused);
  CHECK(first.name != second.name);
  const auto all = read_submissions(folder.path);
  REQUIRE(all.size() == 3);
  CHECK(std::get<SlurmLaunch>(all[0].how).lines == std::get<SlurmLaunch>(first.how).lines);
  CHECK(all[0].job.setup == first.job.setup);
  CHECK(all[0].parents == first.parents);
  const auto tasks = newest_tasks(all);
  CHECK(tasks.at("a").job() == "7_0");
  CHECK(tasks.at("c").job() == "7_1");
  CHECK(tasks.at("b").job().empty());  // it was never told its job
}
