#include "tests/ranks/launched_ranks.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "tests/cli/program.hpp"

namespace metascale::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds limit(60);

// Also of a file in /proc, or of none.
std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Words ranks_of(const Words& program, int count) {
  Words words{"-n", fmt::format("{}", count)};
  words.insert(words.end(), program.begin(), program.end());
  return words;
}

// A word of a command line or an environment in /proc.
bool has_word(const std::string& text, const std::string& word) {
  return ('\0' + text).find('\0' + word + '\0') != std::string::npos;
}

}  // namespace

LaunchedRanks::LaunchedRanks(const fs::path& run_folder, const Words& arguments)
    : run_folder_(run_folder),
      output_(run_folder.string() + ".output.txt"),
      child_({.program = METASCALE_MPIRUN,
              .arguments = arguments,
              .environment = {"ASAN_OPTIONS=detect_leaks=0",  // MPI's libraries do not free all
                              "TSAN_OPTIONS=suppressions=" METASCALE_SOURCE
                              "/tests/ranks/tsan_suppressions.txt",
                              "OMP_NUM_THREADS=1", "OMPI_ALLOW_RUN_AS_ROOT=1",
                              "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
                              "OMPI_MCA_rmaps_base_oversubscribe=1"},
              .output = output_,
              .cores = {}}) {}

LaunchedRanks::LaunchedRanks(const fs::path& run_folder, int ranks, double rank_timeout)
    : LaunchedRanks(run_folder, ranks_of({METASCALE_PROGRAM, "train", run_folder.string(),
                                          "--rank-timeout", fmt::format("{}", rank_timeout)},
                                         ranks)) {}

LaunchedRanks::LaunchedRanks(const fs::path& run_folder, int ranks, const Words& words)
    : LaunchedRanks(run_folder, ranks_of(words, ranks)) {}

LaunchedRanks::LaunchedRanks(const fs::path& first, const fs::path& second)
    : LaunchedRanks(first, Words{"-n", "1", METASCALE_PROGRAM, "train", first.string(), ":", "-n",
                                 "1", METASCALE_PROGRAM, "train", second.string()}) {}

pid_t LaunchedRanks::process_of(int rank) const {
  const std::string variable = fmt::format("OMPI_COMM_WORLD_RANK={}", rank);
  pid_t found = 0;
  const bool is_there = came_true(
      [&] {
        for (const auto& item : fs::directory_iterator("/proc")) {
          const std::string name = item.path().filename().string();
          if (name.find_first_not_of("0123456789") != std::string::npos) continue;
          const bool is_ours = has_word(text_of(item.path() / "cmdline"), run_folder_.string());
          if (is_ours && has_word(text_of(item.path() / "environ"), variable))
            found = std::stoi(name);
        }
        return found > 0;
      },
      limit);
  INFO(text_of(output_));
  REQUIRE(is_there);
  return found;
}

void LaunchedRanks::ask_to_save() { child_.send(SIGUSR2); }  // mpirun hands it on

EndedRanks LaunchedRanks::wait(std::chrono::seconds limit) {
  const bool has_ended = came_true([&] { return !is_running(); }, limit);
  const std::string text = text_of(output_);
  INFO(text);
  REQUIRE(has_ended);
  return {.code = *child_.poll(), .text = text};
}

bool wait_for_step(LaunchedRanks& ranks, const fs::path& run_folder, std::size_t steps) {
  const auto made = [&] {
    const std::string journal = text_of(run_folder / "journal.jsonl");
    std::size_t count = 0;
    for (std::size_t at = 0; (at = journal.find("{\"row\":\"step\"", at)) != std::string::npos;
         ++at)
      ++count;
    return count;
  };
  came_true([&] { return made() >= steps || !ranks.is_running(); }, limit);
  return made() >= steps;
}

bool wait_until_gone(pid_t process) {
  const fs::path status = fmt::format("/proc/{}/status", process);
  return came_true(
      [&] {
        const std::string text = text_of(status);
        return text.empty() || text.find("State:\tZ") != std::string::npos;
      },
      limit);
}

Outcome trained_by(int ranks, const RunsFolder& runs, const RunConfig& config) {
  const fs::path folder = runs.write(config);
  const EndedRanks ended = LaunchedRanks(folder, ranks).wait();
  INFO(ended.text);
  REQUIRE(ended.code == 0);
  return outcome_of(folder);
}

}  // namespace metascale::testing
