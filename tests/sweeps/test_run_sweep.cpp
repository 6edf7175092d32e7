// A whole sweep, with a shell script that stands for `metascale train`; and its hours and budget.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <set>

#include "core/atomic_file.hpp"
#include "core/run_file.hpp"
#include "sweeps/hours.hpp"
#include "sweeps/run_sweep.hpp"
#include "tests/sweeps/definitions.hpp"
#include "tests/sweeps/program_folder.hpp"

using namespace metascale;
namespace fs = std::filesystem;

namespace {

const std::string tuning = "match.tuning={trials_per_arm: 2, over: {learning_rate: [2e-3, 8e-3]}}";

void write_log(const Ledger& ledger, const PlannedRun& run, double loss) {
  const fs::path folder = ledger.run_folder(run.config.id);
  const std::int64_t steps = run.config.training.steps;
  RunLog log{.run_id = run.config.id};
  log.steps.push_back({.step = steps, .loss = loss, .gradient_norm = 1});
  if (std::isfinite(loss))
    log.evaluations.push_back({.step = steps,
                               .split = "validation",
                               .protocol = "packed_windows",
                               .is_final = true,
                               .tokens = 1,
                               .bytes = 1,
                               .nats = loss});
  write_run_file(folder / "run.h5", log);
  std::ofstream(folder / (std::isfinite(loss) ? "DONE" : "FAILED")) << "over\n";
}

// A sweep with trials of the given losses: run.h5 and DONE or FAILED in their folders.
void finish_trials(const Definition& definition, Ledger& ledger, double low_rate,
                   double high_rate) {
  const Resolution trials = resolve(definition);
  ledger.update(definition, trials);
  for (const PlannedRun& run : trials.runs)
    if (run.config.role == Role::trial)
      write_log(ledger, run,
                run.config.training.optimizer.learning_rate == 2e-3 ? low_rate : high_rate);
}

}  // namespace

TEST_CASE("run_sweep: a sweep for a batch system is refused, and told what it is for") {
  const Folder folder;
  Ledger ledger(folder.path / "results");
  CHECK_THAT(refusal_of([&] {
               run_sweep(small_definition({"launch={slurm: {partition: gpu}}"}), ledger, {});
             }),
             Catch::Contains("launch: this sweep is for a batch system"));
}

TEST_CASE("run_sweep: fills the folders, runs what is not done, and skips it the next time") {
  const Folder folder;
  Ledger ledger(folder.path / "results");
  RunSweepOptions options{.executor = {.program = folder.program("touch $run/DONE")}};
  CHECK(run_sweep(small_definition(), ledger, options).exit_code() == ExitCode::good);
  int started = 0;
  options.executor.events.started = [&](const Job&, int, const std::vector<int>&) { ++started; };
  CHECK(run_sweep(small_definition(), ledger, options).exit_code() == ExitCode::good);
  CHECK(started == 0);
  CHECK(run_sweep(small_definition({"axes.seed=[1, 2]"}), ledger, options).exit_code() ==
        ExitCode::good);
  CHECK(started == 2);
  CHECK_THAT(read_file(ledger.folder() / "events.jsonl"), Catch::Contains("\"kind\":\"started\""));
}

TEST_CASE("run_sweep: a trial that diverged counts as the worst, and is not run again") {
  const Folder folder;
  const Definition definition = small_definition({tuning});
  Ledger ledger(folder.path / "results");
  finish_trials(definition, ledger, 3.0, std::numeric_limits<double>::quiet_NaN());
  const TuningChoices choices = known_choices(definition, ledger);
  REQUIRE(choices.size() == 2);
  CHECK(choices.at("rwkv7").at("learning_rate") == 2e-3);
  std::set<std::string> started;
  RunSweepOptions options{.executor = {.program = folder.program("touch $run/DONE")}};
  options.executor.events.started = [&](const Job& job, int, const std::vector<int>&) {
    started.insert(job.id);
  };
  CHECK(run_sweep(definition, ledger, options).exit_code() == ExitCode::good);
  CHECK(started.size() == 2);  // the main runs
  for (const PlannedRun& run : resolve(definition, choices).runs)
    CHECK(started.contains(run.config.id) == (run.config.role == Role::run));
}

TEST_CASE("run_sweep: a failed trial that did not diverge keeps the main runs waiting") {
  const Folder folder;
  const Definition definition = small_definition({tuning});
  Ledger ledger(folder.path / "results");
  finish_trials(definition, ledger, 3.0, 4.0);
  const std::string trial = resolve(definition).runs[0].config.id;
  fs::rename(ledger.run_folder(trial) / "DONE", ledger.run_folder(trial) / "FAILED");
  CHECK(known_choices(definition, ledger).empty());
}

TEST_CASE("run_sweep: it says which trials the main runs wait for") {
  const Folder folder;
  const Definition definition = small_definition({tuning});
  Ledger ledger(folder.path / "results");
  const RunSweepOptions options{.skip = {"rwkv7-*"},
                                .executor = {.program = folder.program("exit 2")}};
  const Execution execution = run_sweep(definition, ledger, options);
  REQUIRE(execution.notes.size() == 1);
  CHECK(execution.notes[0] ==
        "1 runs wait for their tuning: 4 of its 4 trials are not over, and --only or --skip leaves "
        "2 of them out");
}

TEST_CASE("run_sweep: a run has as many threads at a later start as at the first") {
  if (available_cores().size() < 2) {
    WARN("skipped: there is one core");
    return;
  }
  const Folder folder;
  Ledger ledger(folder.path / "results");
  RunSweepOptions options{
      .only = {"rwkv7-*"},
      .executor = {.program = folder.program("echo $OMP_NUM_THREADS; touch $run/DONE")}};
  std::set<std::string> threads;
  for (const char* arm : {"rwkv7-*", "meta_state-*"}) {
    options.only = {arm};
    const Execution execution = run_sweep(small_definition(), ledger, options);
    REQUIRE(execution.results.size() == 1);
    threads.insert(read_file(ledger.run_folder(execution.results[0].id) / "attempts/0001/out.log"));
  }
  const auto shared = plan_slots(available_cores(), 0, 0, 2).threads;
  CHECK(threads == std::set<std::string>{fmt::format("{}\n", shared)});
}

TEST_CASE("hours: of the shapes that were measured, and of no others") {
  const Folder folder;
  const Resolution resolution = small_resolution(),
                   other = small_resolution({"training.context=64"});
  StepSeconds seconds(folder.path);
  CHECK_FALSE(seconds.hours(resolution));
  for (const PlannedRun& run : resolution.runs) seconds.set(run.config, 36);
  seconds.write();
  const StepSeconds again(folder.path);
  CHECK(*again.hours(resolution.runs[0]) == Approx(49 * 36 / 3600.0));
  CHECK(*again.hours(resolution) == Approx(2 * 49 * 36 / 3600.0));
  CHECK_FALSE(again.hours(other));  // another context: another shape
}

TEST_CASE("hours: a damaged bench.json is refused by name") {
  const Folder folder;
  std::ofstream(folder.path / "bench.json") << "{\"seconds_per_step\": [1";
  CHECK_THROWS_WITH(StepSeconds(folder.path), Catch::Contains("bench.json: "));
}

TEST_CASE("budget: what a plan needs is said, and refused where the sweep file says so") {
  const Definition lenient = small_definition({"budget={hours: 2}"}),
                   strict = small_definition({"budget={hours: 2, refuse_above: true}"});
  const PlannedHours little{.slots = 1.5, .devices = 6}, much{.slots = 5, .devices = 20};
  CHECK(budget_text(small_definition(), much) == "");
  CHECK(budget_text(lenient, little) == "budget: needs 1.5 of 2.0 hours");
  CHECK(budget_text(lenient, much) == "budget: needs 5.0 of 2.0 hours: above it");
  CHECK(budget_text(lenient, std::nullopt) ==
        "budget: 2.0 hours; what the plan needs is not known");
  CHECK_NOTHROW(check_budget(lenient, 0, 5));
  CHECK_NOTHROW(check_budget(strict, 0, 2));
  CHECK_THAT(refusal_of([&] { check_budget(strict, 0, 5); }),
             Catch::Contains("budget: the plan needs 5.0 hours, the budget has 2.0"));
}

// 49 steps of 36 s in each of two runs: 0.98 hours of a slot.
TEST_CASE("hours: of cores and GPUs are those of a slot times what each run has of them") {
  const Folder folder;
  const auto planned = [&](const std::vector<std::string>& overrides) {
    const Definition definition = small_definition(overrides);
    const Resolution resolution = resolve(definition);
    StepSeconds seconds(folder.path);
    for (const PlannedRun& run : resolution.runs) seconds.set(run.config, 36);
    seconds.write();
    const auto hours = planned_hours(definition, resolution, Ledger(folder.path));
    REQUIRE(hours);
    CHECK(hours->slots == Approx(0.98));
    return std::pair(hours->devices, budget_text(definition, hours));
  };
  const auto local =
      planned({"launch={local: {threads: 2}}", "budget={hours: 9, price_per_core_hour: 10}"});
  CHECK(local.first == Approx(2 * 0.98));
  CHECK(local.second == "budget: needs 1.0 of 9.0 hours; cost: 19.60 (2.0 core hours at 10)");
  // Two runs on all cores: a slot each, or one run after the other.
  const double cores = double(available_cores().size());
  CHECK(planned({"launch={local: {slots: 1}}"}).first == Approx(cores * 0.98));
  CHECK(planned({"launch={slurm: {}}", "resources={default: {cpus: 3}}"}).first ==
        Approx(3 * 0.98));
  const auto gpus = planned({"launch={slurm: {}}", "budget={gpu_hours: 4, price_per_gpu_hour: 2}",
                             "resources={default: {gpus: 8}, when: [{arm: meta_state, gpus: 1, "
                             "runs_per_gpu: 2}]}"});
  CHECK(gpus.first == Approx(8.5 * 0.49));
  CHECK(gpus.second ==
        "budget: needs 4.2 of 4.0 GPU hours: above it; cost: 8.33 (4.2 GPU hours at 2)");
}
