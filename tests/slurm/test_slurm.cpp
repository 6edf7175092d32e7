// A sweep on a real Slurm, and all that may happen to it there.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <sstream>

#include "core/heartbeat.hpp"
#include "sweeps/attempt.hpp"
#include "tests/slurm/slurm_sweep.hpp"
#include "tests/support/sanitizer.hpp"
#include "tests/sweeps/fake_slurm.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using nlohmann::json;
using testing::Cluster, testing::Ended, testing::output_of, testing::SlurmSweep;
using Ids = std::vector<std::string>;

std::size_t lines_of(const std::string& text) {
  return std::size_t(std::count(text.begin(), text.end(), '\n'));
}

// What each attempt of each run leaves of itself.
void expect_complete_attempts(const SlurmSweep& sweep, double cores = 1) {
  for (const auto& [run, row] : sweep.status()) {
    // A run is done before its job has said so.
    testing::wait_until([&, id = run] {
      const auto attempts = read_attempts(sweep.run(id));
      return attempts.empty() || attempts.back().end != AttemptEnd::running;
    });
    const auto attempts = read_attempts(sweep.run(run));
    CHECK(attempts.empty() == (row.at("state") == "pending"));
    for (const Attempt& attempt : attempts) {
      INFO(run << ", attempt " << attempt.number << ": " << name_of(attempt.end));
      const fs::path folder = attempt_folder(sweep.run(run), attempt.number);
      // One that was killed as it was started has said nothing.
      const bool was_killed = attempt.end == AttemptEnd::killed || attempt.end == AttemptEnd::lost;
      CHECK((fs::file_size(folder / "out.log") > 0 || was_killed));
      CHECK(fs::exists(folder / "environment.json"));
      CHECK(attempt.end != AttemptEnd::running);
      CHECK_FALSE(attempt.job.empty());
      CHECK(attempt.node == "localhost");
      CHECK(attempt.cores == cores);
      CHECK(attempt.seconds() >= 0);
    }
  }
}

TEST_CASE(
    "six runs as an array with a cap come through a requeue, a scancel and kills of a trainer, of "
    "slurmctld and of slurmd") {
  const Cluster cluster;
  if (cluster.say_if_skipped()) return;
  const std::string note = "it's \"a\" `note` $(touch harm) #",
                    account = "it's an \"account\"; $(touch harm)`touch harm` &";
  const SlurmSweep sweep(
      {.slurm = fmt::format("partition: main, array_cap: 2, account: {}, lines: [{}, --nodelist "
                            "localhost, --nice 5]",
                            json(account).dump(), json("--comment=" + note).dump())});
  // The sweep file goes before them.
  const Variable partition("SBATCH_PARTITION", "urgent"), other("SBATCH_ACCOUNT", "other");
  const json first = sweep.submit();
  REQUIRE(first.at("submissions").size() == 1);
  CHECK(first.at("submissions")[0].at("jobs").size() == 6);
  CHECK(sweep.submit().at("submissions").empty());  // twice submits nothing twice

  sweep.wait_for_state("running", 2);
  const Ids running = sweep.in_state("running");
  REQUIRE(running.size() == 2);
  for (const std::string& run : running) sweep.wait_for_attempt(run, 1);
  CHECK(lines_of(output_of({"squeue", "-h", "-r", "-t", "RUNNING"})) == 2);
  CHECK(output_of({"squeue", "-h", "-t", "RUNNING", "-o", "%k"}) == note + "\n" + note + "\n");
  CHECK(output_of({"squeue", "-h", "-t", "RUNNING", "-o", "%a"}) ==
        account + "\n" + account + "\n");
  CHECK(output_of({"squeue", "-h", "-t", "RUNNING", "-o", "%P %y %n"}) ==
        "main 5 localhost\nmain 5 localhost\n");

  output_of({"scontrol", "requeue", sweep.job_of(running[0])});
  sweep.kill_trainer(running[1]);
  sweep.wait_for_attempt(running[1], 2);  // in the same job
  // Daemons that are killed while they start a job find out a minute later that it never began.
  sweep.wait_for_state("running", 2);
  for (const std::string& run : sweep.in_state("running")) sweep.wait_for_attempt(run, 1);
  cluster.kill_daemons();
  const Ended silent = sweep.call_on_folder("status");
  CHECK_THAT(silent.text, Contains("the batch system does not answer"));
  CHECK(sweep.call("submit").code == 69);  // nobody knows what is in the queue
  cluster.start();

  sweep.release(running[1]);
  testing::wait_until([&] { return fs::exists(sweep.run(running[1]) / "DONE"); });
  sweep.wait_for_state("running", 2);
  const Ids later = sweep.in_state("running");
  const std::string victim = later[0] == running[0] ? later[1] : later[0];
  sweep.wait_for_attempt(victim, 1);
  output_of({"scancel", sweep.job_of(victim)});
  sweep.wait_for_state("cancelled", 1);
  CHECK(sweep.in_state("cancelled") == Ids{victim});
  sweep.release("");
  sweep.wait_for_state("done", 5);

  const json again = sweep.submit();  // goes on with it, and with nothing else
  REQUIRE(again.at("submissions").size() == 1);
  CHECK(again.at("submissions")[0].at("tasks") == json::array({json::array({victim})}));
  sweep.wait_for_state("done", 6);
  CHECK(sweep.submit().at("submissions").empty());

  const auto status = sweep.status();
  // More where slurmctld was killed before it had written down that it started the job.
  for (const std::string& run : {running[0], running[1], victim})
    CHECK(status.at(run).at("attempts") >= 2);
  CHECK(read_attempts(sweep.run(running[0]))[0].end == AttemptEnd::saved);
  CHECK(read_attempts(sweep.run(running[0]))[0].exit_code == int(ExitCode::saved));
  CHECK(read_attempts(sweep.run(running[1]))[0].exit_code == 128 + 9);
  Ids all;
  for (const auto& [run, row] : status) all.push_back(run);
  expect_complete_attempts(sweep);
  sweep.expect_undisturbed(all);
  sweep.expect_unharmed();
}

TEST_CASE(
    "a parent that times out twice is followed by its children, and those of one that fails wait") {
  const Cluster cluster;
  if (cluster.say_if_skipped()) return;
  const SlurmSweep sweep(
      {.arm_training = "{learning_rate: 10, final_learning_rate: 10, weight_decay: 100}",
       .lengths = "25600 tokens, 51200 tokens",
       .seeds = "1",
       .schedule = "{kind: wsd, warmup: 2 steps}",
       .resources = "{default: {time: 1m}}",
       .slurm = "signal_before: 55s"});
  const json submitted = sweep.submit();
  REQUIRE(submitted.at("submissions").size() == 2);  // the trunks, and the branches of both
  CHECK(submitted.at("submissions")[1].at("waits_for").size() == 2);
  std::string trunk, failing;
  Ids children, orphans;
  for (const auto& [run, row] : sweep.status()) {
    const bool is_trunk = run.find("-trunk-") != std::string::npos;
    const bool fails = run.starts_with("transformer");
    if (is_trunk)
      (fails ? failing : trunk) = run;
    else
      (fails ? orphans : children).push_back(run);
  }
  REQUIRE(children.size() == 2);
  sweep.release(failing);
  for (const std::string& run : children) sweep.release(run);
  sweep.wait_for_attempt(trunk, 1);
  sweep.wait_for_attempt(trunk, 2);  // Slurm looks at its limits every 30 s
  sweep.wait_for_attempt(trunk, 3);
  for (const std::string& run : children) CHECK_FALSE(fs::exists(sweep.run(run) / "DONE"));
  sweep.release(trunk);
  sweep.wait_for_state("done", 3);
  sweep.wait_for_state("failed", 1);

  const auto attempts = read_attempts(sweep.run(trunk));
  REQUIRE(attempts.size() >= 3);  // the third may be warned before it is done, too
  const std::vector<Attempt> before(attempts.begin(), attempts.end() - 1);
  for (const Attempt& attempt : before) CHECK(attempt.end == AttemptEnd::timed_out);
  CHECK(attempts.back().end == AttemptEnd::done);
  CHECK(stalled_timeouts(before) == 0);  // each saved something new
  testing::wait_until([&] {
    const auto status = sweep.status();
    return std::all_of(orphans.begin(), orphans.end(), [&](const std::string& run) {
      return status.at(run).at("state") == "pending" &&
             status.at(run).at("reason") == "waiting for " + failing + ", which failed";
    });
  });
  const json later = sweep.submit();
  CHECK(later.at("submissions").empty());
  CHECK_THAT(later.dump(), Contains("its parent " + failing + " is failed") &&
                               Contains("failed; metascale retry, or submit --retry"));
  children.push_back(trunk);
  expect_complete_attempts(sweep);
  sweep.expect_undisturbed(children);
}

TEST_CASE(
    "runs that cannot save in time are ended before the time limit, and started again up to the "
    "cap",
    "[.slow]") {  // Slurm's shortest limit is a minute
  const Cluster cluster;
  if (cluster.say_if_skipped()) return;
  const SlurmSweep sweep({.seeds = "1",
                          .resources = "{default: {time: 1m}}",
                          .checkpoints = "150 steps",
                          .slurm = "signal_before: 58s, max_stalled_timeouts: 2"});
  sweep.deafen();
  sweep.submit();
  sweep.wait_for_state("running", 2);
  const Ids runs = sweep.in_state("running");
  REQUIRE(runs.size() == 2);
  const std::string &goes_on = runs[0], &stalls = runs[1];
  const auto soon = [](const std::function<bool()>& condition) {  // a limit, and a new start
    return testing::came_true(condition, std::chrono::minutes(4));
  };
  REQUIRE(soon([&] { return read_attempts(sweep.run(goes_on)).size() == 2; }));
  sweep.release(goes_on);
  CHECK(soon([&] { return fs::exists(sweep.run(goes_on) / "DONE"); }));
  CHECK(soon([&] { return fs::exists(sweep.run(stalls) / "FAILED"); }));
  CHECK(soon([] { return output_of({"squeue", "-h"}).empty(); }));  // nobody starts it again
  CHECK_THAT(read_reason(sweep.run(stalls) / "FAILED"), Contains("2 time limits in a row"));
  for (const std::string& run : runs) {
    const auto attempts = read_attempts(sweep.run(run));
    REQUIRE(attempts.size() == 2);
    CHECK(attempts[0].end == AttemptEnd::timed_out);
    CHECK(attempts[0].exit_code == 128 + SIGKILL);
    CHECK(attempts[0].seconds() < 60);
    CHECK(attempts[1].job == attempts[0].job);
  }
  expect_complete_attempts(sweep);
  sweep.expect_undisturbed({goes_on});
}

TEST_CASE("runs that share a job are cancelled one by one, and tried again") {
  const Cluster cluster;
  if (cluster.say_if_skipped()) return;
  const SlurmSweep sweep(
      {.seeds = "1, 2", .resources = "{default: {runs_per_node: 2, time: 10m}}"});
  const json submitted = sweep.submit();
  const json tasks = submitted.at("submissions")[0].at("tasks");
  REQUIRE(tasks.size() == 2);
  for (const json& task : tasks)
    for (const json& run : task) sweep.wait_for_attempt(run.get<std::string>(), 1);
  const std::string one = tasks[0][0], beside = tasks[0][1];
  CHECK(sweep.call_on_folder("cancel", {"--only", one}).code == 2);  // nobody can be asked
  REQUIRE(sweep.call_on_folder("cancel", {"--only", one, "-y"}).code == 0);
  testing::wait_until([&] { return !fs::exists(sweep.run(one) / "lease.json"); });
  CHECK(sweep.in_state("running").size() == 3);
  const Ended early = sweep.call_on_folder("retry", {"--only", one, "--cancelled", "-y"});
  CHECK_THAT(early.text, Contains("goes on with " + beside));  // and would not start it
  CHECK(sweep.in_state("cancelled") == Ids{one});
  sweep.release(beside);
  testing::wait_until([&] { return fs::exists(sweep.run(beside) / "DONE"); });

  REQUIRE(sweep.call_on_folder("cancel", {"--all", "-y"}).code == 0);
  CHECK(sweep.in_state("cancelled").size() == 3);
  testing::wait_until([] { return output_of({"squeue", "-h"}).empty(); });
  CHECK(sweep.submit().at("submissions").empty());
  CHECK(sweep.call_on_folder("retry", {"--all", "-y"}).code == 0);  // failed ones only
  CHECK(sweep.in_state("cancelled").size() == 3);
  sweep.release("");
  REQUIRE(sweep.call_on_folder("retry", {"--all", "--cancelled", "-y"}).code == 0);
  sweep.wait_for_state("done", 4);
  expect_complete_attempts(sweep);
  sweep.expect_undisturbed(sweep.in_state("done"));
}

// On paper only: MaxArraySize is 101 here.
void expect_chunks_of_a_large_array() {
  std::string seeds = "1";
  for (int seed = 2; seed <= 52; ++seed) seeds += fmt::format(", {}", seed);
  const SlurmSweep sweep({.lengths = "2560 tokens", .seeds = seeds, .slurm = "array_cap: 50"});
  const Ended printed = sweep.call("submit", {"--print"});
  CHECK(printed.code == 0);
  CHECK_THAT(printed.text, Contains("#SBATCH --array=0-100%48\n") &&
                               Contains("#SBATCH --array=0-2%2\n") &&
                               Contains("submission 0001: 101 runs in 101 jobs") &&
                               Contains("submission 0002: 3 runs in 3 jobs"));
}

TEST_CASE(
    "a job of a partition that goes first stops runs, which go on after it, and a grown one "
    "follows") {
  const Cluster cluster;
  if (cluster.say_if_skipped()) return;
  expect_chunks_of_a_large_array();
  const SlurmSweep sweep(
      {.seeds = "1",
       .slurm = "partition: main",
       .include = "  - {arm: rwkv7, size: derived, name: grown, from: {arm: rwkv7, size: 30k, "
                  "length: 51200 tokens, seed: 1}, grow: {layers: 3}, length: 12800 tokens}\n"});
  const json submitted = sweep.submit();
  REQUIRE(submitted.at("submissions").size() == 2);
  const std::string grown = submitted.at("submissions")[1].at("tasks")[0][0];
  CHECK(grown.starts_with("rwkv7-grown-"));
  sweep.wait_for_state("running", 2);
  const Ids runs = sweep.in_state("running");
  REQUIRE(runs.size() == 2);
  for (const std::string& run : runs) sweep.wait_for_attempt(run, 1);
  output_of({"sbatch", "--partition=urgent", "--cpus-per-task=8", "--output=/dev/null",
             "--wrap=sleep 2"});  // the whole node
  for (const std::string& run : runs) sweep.wait_for_attempt(run, 2);
  CHECK(std::find(runs.begin(), runs.end(), submitted.at("submissions")[1].at("waits_for")[0]) !=
        runs.end());
  CHECK_FALSE(fs::exists(attempt_folder(sweep.run(grown), 1)));
  sweep.release("");
  sweep.wait_for_state("done", 3);
  for (const std::string& run : runs) {
    const auto attempts = read_attempts(sweep.run(run));
    REQUIRE(attempts.size() == 2);
    CHECK(attempts[0].end == AttemptEnd::saved);
    CHECK(attempts[0].exit_code == int(ExitCode::saved));
    CHECK(stalled_timeouts(attempts) == 0);  // a preemption is no time-out
  }
  expect_complete_attempts(sweep);
  sweep.expect_undisturbed({runs[0], runs[1], grown});
}

// A node of this job that does not run its script.
std::string second_node(const std::string& job) {
  const auto column = [&](const char* format) {
    const std::string line = output_of({"squeue", "-h", "-j", job, "-o", format});
    return line.substr(0, line.find('\n'));
  };
  const std::string first = column("%B");
  std::istringstream nodes(output_of({"scontrol", "show", "hostnames", column("%N")}));
  for (std::string node; nodes >> node;)
    if (node != first) return node;
  FAIL(job << " has no second node");
  return "";
}

TEST_CASE("runs over two nodes come through a rank that is killed and a node that is lost") {
  const Cluster cluster(3);
  if (cluster.say_if_skipped()) return;
  const SlurmSweep sweep({.lengths = "204800 tokens",  // 800 steps
                          .seeds = "1",
                          .resources = "{default: {nodes: 2, ranks: 2}}",
                          .slurm = "srun: ['--mpi=pmix']"});
  sweep.submit();
  sweep.wait_for_state("running", 2);
  const Ids runs = sweep.in_state("running");
  REQUIRE(runs.size() == 2);
  for (const std::string& run : runs) sweep.wait_for_attempt(run, 1);
  sweep.kill_trainer(runs[0]);
  sweep.wait_for_attempt(runs[0], 2);
  sweep.release(runs[0]);
  testing::wait_until([&] { return fs::exists(sweep.run(runs[0]) / "DONE"); });
  const std::string job = sweep.job_of(runs[1]), node = second_node(job);
  cluster.lose(node);
  REQUIRE(testing::came_true(  // Slurm asks a node a few times before it gives it up
      [&] { return read_attempts(sweep.run(runs[1])).size() == 2; }, std::chrono::minutes(3)));
  sweep.wait_for_attempt(runs[1], 2);
  CHECK(second_node(sweep.job_of(runs[1])) != node);
  sweep.release("");
  sweep.wait_for_state("done", 2);
  expect_complete_attempts(sweep, 2);
  const auto killed = read_attempts(sweep.run(runs[0])), lost = read_attempts(sweep.run(runs[1]));
  REQUIRE(killed.size() == 2);
  CHECK(name_of(killed[0].end) == std::string("lost"));
  REQUIRE(lost.size() == 2);
  // Slurm asks the job to stop, and its step ends badly by the lost node: who is first, is seen.
  CHECK((lost[0].end == AttemptEnd::killed || lost[0].end == AttemptEnd::lost));
  CHECK(lost[0].node == "localhost");
  sweep.expect_undisturbed(runs);
}

TEST_CASE(
    "a run of two ranks under srun, requeued in its middle, has the bits of two ranks here, and "
    "one "
    "rank's losses") {
  const Cluster cluster;
  if (cluster.say_if_skipped()) return;
  const SlurmSweep sweep({.lengths = "204800 tokens",  // 800 steps: two ranks make one in 2 ms
                          .seeds = "1",
                          .resources = "{default: {ranks: 2}}",
                          .slurm = "srun: ['--mpi=pmix']"});
  sweep.submit();
  sweep.wait_for_state("running", 2);
  const Ids runs = sweep.in_state("running");
  REQUIRE(runs.size() == 2);
  sweep.wait_for_attempt(runs[0], 1);
  output_of({"scontrol", "requeue", sweep.job_of(runs[0])});
  sweep.release(runs[1]);
  sweep.wait_for_attempt(runs[0], 2);
  sweep.release("");
  sweep.wait_for_state("done", 2);
  const auto attempts = read_attempts(sweep.run(runs[0]));
  REQUIRE(attempts.size() == 2);
  CHECK(attempts[0].end == AttemptEnd::saved);
  CHECK(attempts[0].exit_code == int(ExitCode::saved));
  CHECK(attempts[1].first_checkpoint > 0);
  expect_complete_attempts(sweep, 2);
  const fs::path alone = sweep.run_here("alone", "{default: {ranks: 1}}");
  for (const std::string& run : runs) {
    INFO(run);
    // Without vectors sums are longer, and rounded more often.
    constexpr double bound = testing::is_sanitized ? 1e-4 : 1e-5;
    const RunLog two = testing::outcome_of(sweep.run(run)).log,
                 one = testing::outcome_of(alone / run).log;
    CHECK(two.facts.at("ranks") == "2");
    REQUIRE(two.steps.size() == 800);
    REQUIRE(one.steps.size() == 800);
    for (std::size_t i = 0; i < 20; ++i) {  // later ones drift apart by their rounding
      CHECK(two.steps[i].digest == one.steps[i].digest);
      CHECK(two.steps[i].loss == Approx(one.steps[i].loss).epsilon(bound));
    }
  }
  sweep.expect_undisturbed(runs);  // by our own launcher
}

}  // namespace
}  // namespace metascale
