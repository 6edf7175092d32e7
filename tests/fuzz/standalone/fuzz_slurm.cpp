// What sbatch, squeue and scontrol print, out of any bytes: run_command is ours here, and gives
// them the input, each call its part up to a line "--", of which the first byte is the exit code.
#include <time.h>

#include "core/command.hpp"
#include "sweeps/scheduler.hpp"
#include "tests/fuzz/standalone/allocation_limit.hpp"
#include "tests/fuzz/standalone/framed_input.hpp"
#include "tests/fuzz/standalone/reads.hpp"
#include "tests/support/temporary_folder.hpp"

static std::string& answers() {
  static std::string left;
  return left;
}

namespace metascale {

CommandResult run_command(const std::vector<std::string>& words, const CommandOptions&) {
  if (words.empty()) std::abort();
  std::string& left = answers();
  const std::size_t end = std::min(left.find("\n--\n"), left.size());
  std::string answer = left.substr(0, end);
  left.erase(0, std::min(end + 4, left.size()));
  CommandResult result;
  if (answer.empty()) return result;
  result.exit_code = answer[0] == '0' ? 0 : int(static_cast<unsigned char>(answer[0]));
  result.timed_out = answer[0] == 't';
  (result.exit_code == 0 ? result.output : result.error) = answer.substr(1);
  return result;
}

std::string CommandResult::complaint() const { return error.substr(0, 300); }

}  // namespace metascale

extern "C" int nanosleep(const timespec*, timespec*) { return 0; }  // between two questions

using namespace metascale;

static void ask(Scheduler& scheduler, const testing::TemporaryFolder& folder) {
  Submission submission;
  submission.number = 1;
  submission.sweep = "s", submission.name = "metascale-s-1";
  submission.program = "/usr/bin/metascale";
  submission.how = SlurmLaunch{};
  submission.tasks = {{"a"}, {"b", "c"}};
  const bool handed_over = fuzz::reads([&] { scheduler.submit(folder.path(), submission, [] {}); });
  if (handed_over && submission.jobs.size() != submission.tasks.size()) std::abort();
  if (!handed_over) submission.jobs = {"44_0", "44_1"};
  std::string complaint;
  fuzz::reads([&] {
    const auto states = scheduler.states({&submission}, 1, complaint);
    if (!states && complaint.empty()) std::abort();
  });
  fuzz::reads([&] {
    const auto jobs = scheduler.find(submission);
    if (!jobs.empty() && jobs.size() != submission.tasks.size()) std::abort();
  });
  fuzz::reads([&] {
    if (scheduler.most_tasks() == 0) std::abort();
  });
  fuzz::reads([&] { scheduler.requeue("44_0"); });
  fuzz::reads([&] { scheduler.cancel({"44_0"}); });
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const testing::TemporaryFolder folder;
  static const auto made = std::filesystem::create_directories(submission_folder(folder.path(), 1));
  static const auto scheduler = make_slurm_scheduler();
  if (!made) std::abort();
  answers() = fuzz::text_of(data, size);
  const fuzz::AllocationLimit limit(std::size_t(1) << 20, 64, size);
  ask(*scheduler, folder);
  return 0;
}
