// Run folders that are not as a run left them: taken by another process, copied in part, left by a
// process whose id another one has now.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/run_lease.hpp"
#include "tests/campaign/faults.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using testing::call_program, testing::Ended, testing::expect_equal_bits, testing::journal_lines,
    testing::outcome_of, testing::Program, testing::RunsFolder;

RunConfig small_run(const RunsFolder& runs, const std::string& id, std::int64_t steps = 30) {
  RunConfig config = runs.config(id, Architecture::meta_state);
  config.training.steps = steps;
  config.evaluation = {.every_steps = 10, .windows = 8};
  config.log = {.checkpoint_every = 4, .keep = 2};
  return config;
}

// A run that was killed in its middle, when its journal was to get its 23rd line.
fs::path killed_run(const RunsFolder& runs) {
  const fs::path folder = runs.write(small_run(runs, "disturbed"));
  const auto killed =
      testing::call_with_fault(runs.path(), {"train", folder.string()},
                               {"kill -9", "write", "kill"}, {"step", "journal.jsonl"}, 23);
  REQUIRE(killed.ended.code == 128 + SIGKILL);
  return folder;
}

void expect_undisturbed(const RunsFolder& runs, const fs::path& folder, std::int64_t steps = 30) {
  const std::string alone = runs.write(small_run(runs, "undisturbed", steps)).string();
  REQUIRE(call_program(runs.path(), {"train", alone}).code == 0);
  const Ended ended = call_program(runs.path(), {"train", folder.string()});
  INFO(ended.text);
  REQUIRE(ended.code == 0);
  expect_equal_bits(outcome_of(alone), outcome_of(folder));
}

// What a lease says of a process of this machine.
void write_lease(const fs::path& folder, const ProcessIdentity& process) {
  const nlohmann::json lease = {{"host", process.host},
                                {"boot", process.boot},
                                {"pid_namespace", process.pid_namespace},
                                {"pid", process.pid},
                                {"start", process.start},
                                {"job", ""},
                                {"token", "0123456789abcdef"}};
  write_file_atomically(folder / "lease.json", lease.dump());
}

TEST_CASE("a second process on a run folder is refused, and disturbs nothing") {
  const RunsFolder runs;
  const std::int64_t steps = 300;  // so long that it still runs when it is stopped
  const fs::path folder = runs.write(small_run(runs, "disturbed", steps));
  Program first(runs.path(), {"train", folder.string()});
  testing::wait_until([&] { return journal_lines(folder) >= 5; });
  first.send(SIGSTOP);
  const Ended second = call_program(runs.path(), {"train", folder.string()});
  first.send(SIGCONT);
  CHECK(second.code == int(ExitCode::unavailable));
  CHECK_THAT(second.text, Catch::Contains("is being worked on by process"));
  CHECK(first.wait().code == 0);
  expect_undisturbed(runs, folder, steps);
}

TEST_CASE("a lease whose process id another process has now, or of before a reboot, is free") {
  const RunsFolder runs;
  const fs::path folder = killed_run(runs);
  ProcessIdentity holder = this_process();  // it lives
  if (GENERATE(false, true))
    holder.boot = "00000000-0000-0000-0000-000000000000";
  else
    holder.start += 1;
  write_lease(folder, holder);
  expect_undisturbed(runs, folder);
}

TEST_CASE("a lease of a process that lives is not") {
  const RunsFolder runs;
  const fs::path folder = killed_run(runs);
  write_lease(folder, this_process());
  CHECK(call_program(runs.path(), {"train", folder.string()}).code == int(ExitCode::unavailable));
}

fs::path newest_checkpoint_of(const fs::path& folder) {
  const auto steps = testing::checkpoint_steps(folder);
  REQUIRE(steps.size() > 1);
  return folder / "checkpoints" / fmt::format("step-{:010}", steps.back());
}

void halve(const fs::path& file) { fs::resize_file(file, fs::file_size(file) / 2); }

struct PartialCopy {
  const char* name;
  std::function<void(const fs::path&)> make;
};

const PartialCopy copies[] = {
    {"no run.h5", [](const fs::path& folder) { fs::remove(folder / "run.h5"); }},
    {"half of run.h5", [](const fs::path& folder) { halve(folder / "run.h5"); }},
    {"no state.json", [](const fs::path& folder) { fs::remove(folder / "state.json"); }},
    {"an empty state.json",
     [](const fs::path& folder) { fs::resize_file(folder / "state.json", 0); }},
    {"no evaluations", [](const fs::path& folder) { fs::remove_all(folder / "evaluations"); }},
    {"half of the newest weights",
     [](const fs::path& folder) { halve(newest_checkpoint_of(folder) / "model.safetensors"); }},
    {"no moments in the newest checkpoint",
     [](const fs::path& folder) {
       fs::remove(newest_checkpoint_of(folder) / "moments.safetensors");
     }},
    {"no checkpoints", [](const fs::path& folder) { fs::remove_all(folder / "checkpoints"); }},
    {"a last journal line cut in two", [](const fs::path& folder) {
       const fs::path journal = folder / "journal.jsonl";
       fs::resize_file(journal, fs::file_size(journal) - 5);
     }}};

TEST_CASE("a run folder that was copied in part goes on to the bits of the undisturbed run") {
  const RunsFolder runs;
  const PartialCopy& copy = copies[GENERATE(range(std::size_t(0), std::size(copies)))];
  CAPTURE(copy.name);
  const fs::path folder = killed_run(runs);
  copy.make(folder);
  expect_undisturbed(runs, folder);
}

TEST_CASE("a journal that ends before the newest checkpoint is refused, and not gone on with") {
  const RunsFolder runs;
  const fs::path folder = killed_run(runs);
  halve(folder / "journal.jsonl");
  const Ended refused = call_program(runs.path(), {"train", folder.string()});
  CHECK(refused.code == int(ExitCode::bad_input));
  CHECK_THAT(refused.text, Catch::Contains("it was copied in part"));
  fs::remove_all(folder / "checkpoints");
  expect_undisturbed(runs, folder);
}

}  // namespace
}  // namespace metascale
