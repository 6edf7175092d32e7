// Faults in the verbs around the runs: prepare, report, submit, status. Called again, each leaves
// what it leaves undisturbed, and none harms a run.
#include <fmt/format.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <span>

#include "core/atomic_file.hpp"
#include "core/heartbeat.hpp"
#include "sweeps/submission.hpp"
#include "tests/campaign/faults.hpp"
#include "tests/campaign/outcome_table.hpp"
#include "tests/support/tiny_sweep.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using testing::call_program, testing::call_with_fault, testing::Ended, testing::Fault,
    testing::Faulted, testing::OutcomeTable, testing::Place, testing::RunsFolder, testing::Words;

const Fault faults[] = {{"kill -9", "write", "kill"},
                        {"kill -9 before a rename", "rename", "kill"},
                        {"half a write, kill -9", "write", "torn"},
                        {"short writes", "write", "short"},
                        {"EIO", "write", "5"},
                        {"EIO of fsync", "sync", "5"},
                        {"full disk", "write", "28"},
                        {"quota (EDQUOT)", "write", "122"},
                        {"limit of file sizes", "write", "size"}};

// It writes nothing but its words.
const Fault status_faults[] = {{"kill -9", "clock", "kill"},
                               {"STOP, CONT", "clock", "stop"},
                               {"clock a day ahead", "clock", "86400"},
                               {"clock a day back", "clock", "-86400"}};

// path below the folder -> bytes; without what a process that was killed had not finished: nobody
// reads such files.
using Files = std::map<std::string, std::string>;
Files files_of(const fs::path& folder) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() &&
        entry.path().filename().string().find(".unfinished-") == std::string::npos)
      files[fs::relative(entry.path(), folder).string()] = read_file(entry.path());
  return files;
}

// One verb that writes below one folder, in a folder of its own.
class VerbCampaign {
 public:
  // prepare: makes what the verb needs; called before each fault. result: what must be equal.
  VerbCampaign(std::string name, const fs::path& here, Words words, std::string part,
               std::function<void()> prepare, std::function<Files()> result)
      : name_(std::move(name)),
        here_(here),
        words_(std::move(words)),
        part_(std::move(part)),
        prepare_(std::move(prepare)),
        result_(std::move(result)) {
    prepare_();
    const Ended ended = call_program(here_, words_);
    INFO(ended.text);
    REQUIRE(ended.code == 0);
    undisturbed_ = result_();
    REQUIRE_FALSE(undisturbed_.empty());
  }

  // rounds: how often each fault.
  void disturb(std::span<const Fault> faults_here, int rounds, OutcomeTable& table) const {
    std::mt19937 random(3);
    for (const Fault& fault : faults_here)
      for (int round = 0; round < rounds; ++round) {
        bool was_hit = false;
        for (int most = 16; most > 0 && !was_hit; most /= 4)
          was_hit = disturb_once(fault, 1 + int(random() % unsigned(most)), table);
        CAPTURE(name_, fault.name);
        CHECK(was_hit);
      }
  }

 private:
  bool disturb_once(const Fault& fault, int number, OutcomeTable& table) const {
    prepare_();
    const Faulted faulted =
        call_with_fault(here_, words_, fault, {name_.c_str(), part_.c_str()}, number);
    if (!faulted.was_hit) return false;
    CAPTURE(name_, fault.name, number, faulted.ended.text);
    const Ended again = call_program(here_, words_);
    INFO(again.text);
    REQUIRE(again.code == 0);
    const Files found = result_();
    for (const auto& [path, bytes] : undisturbed_) {
      INFO(path);
      REQUIRE(found.contains(path));
      REQUIRE((found.at(path) == bytes));
    }
    REQUIRE(found.size() == undisturbed_.size());
    table.add(fault.name, name_, testing::outcome_name(faulted.ended.code));
    return true;
  }

  std::string name_;
  fs::path here_;
  Words words_;
  std::string part_;
  std::function<void()> prepare_;
  std::function<Files()> result_;
  Files undisturbed_;
};

// A sweep of two runs that are done, and what stands beside them.
class DoneSweep {
 public:
  DoneSweep() {
    write_tiny_sweep(runs_, {.lines = "analysis: {bootstrap: 100}\n"});
    const Ended ended = call_program(
        runs_.path(), {"run", file().string(), "--results", results().string(), "--no-report"});
    INFO(ended.text);
    REQUIRE(ended.code == 0);
    done_ = files_of(folder() / "runs");
  }
  // Each file of each run is what it was.
  void expect_untouched() const { CHECK((files_of(folder() / "runs") == done_)); }
  fs::path here() const { return runs_.path(); }
  fs::path file() const { return runs_.path() / "sweep.yaml"; }
  fs::path results() const { return runs_.path() / "results"; }
  fs::path folder() const { return results() / "tiny"; }

 private:
  RunsFolder runs_;
  Files done_;
};

void disturb_prepare(int rounds, OutcomeTable& table) {
  const RunsFolder runs;
  const fs::path out = runs.path() / "again";
  VerbCampaign(
      "prepare", runs.path(),
      {"data", "prepare", (runs.path() / "text").string(), "--out", out.string(), "--tokenizer",
       "bytes"},
      "/again/", [&] { fs::remove_all(out); }, [&] { return files_of(out); })
      .disturb(faults, rounds, table);
}

void disturb_report(int rounds, OutcomeTable& table) {
  const DoneSweep sweep;
  const fs::path report = sweep.folder() / "report";
  const auto tables = [&] { return files_of(report / "tables"); };
  VerbCampaign(
      "report", sweep.here(), {"report", sweep.folder().string(), "--no-figures"}, "/report/",
      [&] { fs::remove_all(report); }, tables)
      .disturb(faults, rounds, table);
  sweep.expect_untouched();
}

void disturb_status(int rounds, OutcomeTable& table) {
  const DoneSweep sweep;
  const fs::path watched = sweep.here() / "watched";
  fs::copy(sweep.folder(), watched, fs::copy_options::recursive);
  const fs::path run = testing::run_of(watched, "rwkv7");
  fs::remove(run / "DONE");
  write_heartbeat(run, {.phase = RunPhase::running});  // how long ago is asked of a clock
  VerbCampaign(
      "status", sweep.here(), {"status", watched.string()}, "", [] {},
      [&] { return files_of(watched / "runs"); })
      .disturb(status_faults, rounds, table);
}

// A queue that takes jobs and never starts them: submit's own part is what is looked at.
class Queue {
 public:
  explicit Queue(const DoneSweep& sweep) : sweep_(sweep) {
    fs::create_directories(folder_);
    clear();
  }
  void clear() const {
    fs::remove_all(results_);
    for (const char* name : {"jobs", "names"}) std::ofstream(folder_ / name, std::ios::trunc);
  }
  // can_find: jobs are found by their names.
  Words submit(bool can_find) const {
    const std::string launch = fmt::format(
        "launch={{template: {{submit: [{}, '{{script}}', '{{name}}'], state: [{}, '{{job}}'], "
        "cancel: ['false']{}}}}}",
        script("put", "echo \"$1\" >>jobs; echo \"$2\" >>names; wc -l <jobs"),
        script("look", "[ \"$1\" -le \"$(wc -l <jobs)\" ] && echo there"),
        can_find
            ? ", find: [" + script("find", "grep -nxF \"$1\" names | cut -d: -f1") + ", '{name}']"
            : "");
    return {"submit", sweep_.file().string(), "--set", launch, "--results", results_.string()};
  }
  // Of each run what it is to do, and how many jobs the queue got for it, whatever the number of
  // tries. Each is known to be in the queue.
  Files handed_over() const {
    Files files;
    for (const auto& entry : fs::directory_iterator(results_ / "tiny/runs"))
      files[entry.path().filename().string()] = read_file(entry.path() / "config.yaml");
    const Ended status =
        call_program(sweep_.here(), {"status", (results_ / "tiny").string(), "--json"});
    CHECK(status.code == 0);
    CHECK_THAT(status.text, Catch::Contains("\"queued\": 2"));
    for (const auto& [run, count] : jobs_of_runs()) files["jobs of " + run] = std::to_string(count);
    return files;
  }
  std::map<std::string, int> jobs_of_runs() const {
    std::map<std::string, int> count;
    std::ifstream jobs(folder_ / "jobs");
    for (std::string line; std::getline(jobs, line);) {  // .../submissions/0001/job-0.sh
      const fs::path job = line;
      const Submission submission = read_submission(job.parent_path());
      const int task = std::atoi(job.filename().c_str() + std::strlen("job-"));
      for (const std::string& run : submission.tasks.at(std::size_t(task))) ++count[run];
    }
    return count;
  }
  fs::path folder() const { return results_ / "tiny"; }

 private:
  std::string script(const char* name, const std::string& text) const {
    std::ofstream(folder_ / name) << "#!/bin/sh\nexport LD_PRELOAD=\ncd '" << folder_.string()
                                  << "' || exit 1\n"
                                  << text << "\n";
    ::chmod((folder_ / name).c_str(), 0755);
    return fmt::format("\"{}\"", (folder_ / name).string());
  }

  const DoneSweep& sweep_;
  fs::path folder_ = sweep_.here() / "queue", results_ = sweep_.here() / "handed";
};

void disturb_submit(int rounds, OutcomeTable& table) {
  const DoneSweep sweep;
  const Queue queue(sweep);
  VerbCampaign(
      "submit", sweep.here(), queue.submit(true), "/handed/", [&] { queue.clear(); },
      [&] { return queue.handed_over(); })
      .disturb(faults, rounds, table);
  sweep.expect_untouched();
}

void disturb_all(int rounds) {
  OutcomeTable table;
  disturb_prepare(rounds, table);
  disturb_report(rounds, table);
  disturb_status(rounds, table);
  disturb_submit(rounds, table);
  CHECK(table.faults() == int(3 * std::size(faults) + std::size(status_faults)) * rounds);
  std::cout << table.text();
}

TEST_CASE("faults in prepare, report, status and submit lose nothing: each of them once") {
  disturb_all(1);
}

TEST_CASE("faults in prepare, report, status and submit lose nothing: each of them ten times",
          "[.slow]") {
  disturb_all(10);
}

// submission.json is written before the first job, after each, and at the end.
TEST_CASE("submit that is killed between two jobs hands over the rest, and nothing twice") {
  const DoneSweep sweep;
  const Queue queue(sweep);
  const Fault fault{"kill -9 before a rename", "rename", "kill"};
  int number = 0;
  for (;;) {
    queue.clear();
    const Faulted faulted = call_with_fault(sweep.here(), queue.submit(true), fault,
                                            {"submit", "submission.json"}, ++number);
    if (!faulted.was_hit) break;
    CAPTURE(number);
    CHECK(call_program(sweep.here(), queue.submit(true)).code == 0);
    for (const auto& [run, jobs] : queue.jobs_of_runs()) CHECK(jobs == 1);
    CHECK(queue.handed_over().size() == 4);
  }
  CHECK(number == 5);
}

TEST_CASE("submit asks a person for a job that it could not note, where none is found by name") {
  const DoneSweep sweep;
  const Queue queue(sweep);
  const Words submit = queue.submit(false);
  const std::string answer = GENERATE("1", "");
  const Fault fault{"kill -9 before a rename", "rename", "kill"};
  REQUIRE(call_with_fault(sweep.here(), submit, fault, {"submit", "submission.json"}, 2).was_hit);
  const fs::path first = queue.folder() / "submissions/0001";
  for (int call = 0; call < 2; ++call) {  // the other run is handed over; nobody asks in vain
    const Ended ended = call_program(sweep.here(), submit);
    CHECK(ended.code == 0);
    CHECK_THAT(ended.text,
               Catch::Contains("1 runs left out: submit was killed while it handed over " +
                               (first / "job-0.sh").string()));
    CHECK_THAT(ended.text, Catch::Contains("write its id into " + (first / "job-0.id").string()));
    CHECK(queue.jobs_of_runs().size() == 2);
  }
  std::ofstream(first / "job-0.id") << answer << "\n";
  CHECK(call_program(sweep.here(), submit).code == 0);
  int most = 0;
  for (const auto& [run, jobs] : queue.jobs_of_runs()) most = std::max(most, jobs);
  CHECK(most == (answer.empty() ? 2 : 1));  // a person said that there is none
  CHECK(queue.handed_over().size() == 4);
}

}  // namespace
}  // namespace metascale
