// A sweep of tiny runs on a real Slurm of its own.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/program.hpp"

namespace metascale::testing {

// A Slurm on this machine, in a folder that goes with it. Its nodes: localhost, localhost2 ...
class Cluster {
 public:
  explicit Cluster(int nodes = 1);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  bool is_there() const { return why_.empty(); }
  // Warns "skipped: ..." where there is none, for ctest.
  bool say_if_skipped() const;
  void kill_daemons() const;                 // slurmctld and slurmd, by SIGKILL
  void start() const;                        // what does not run
  void lose(const std::string& node) const;  // with all that runs there, by SIGKILL

 private:
  TemporaryFolder folder_;
  std::string why_;  // there is none
};

// What a command prints; the test fails where it does not end with 0.
std::string output_of(const std::vector<std::string>& words);

struct SlurmSweepOptions {
  std::string arm_training = "{}";       // of the arm transformer
  std::string lengths = "51200 tokens";  // 200 steps
  std::string seeds = "1, 2, 3";
  std::string schedule = "{kind: cosine}";
  std::string resources = "{default: {time: 10m}}";
  std::string checkpoints = "20 steps";
  std::string slurm;    // further keys of launch.slurm
  std::string include;  // further runs: the lines of a list
};

// Arms transformer and rwkv7. Its results lie in a folder whose name would harm a careless shell.
// Runs are held in their middle until they are released [hold.sh].
class SlurmSweep {
 public:
  explicit SlurmSweep(const SlurmSweepOptions& options = {});

  Ended call(const std::string& verb, const Words& more = {}) const;  // of the sweep file
  nlohmann::json submit() const;
  Ended call_on_folder(const std::string& verb, const Words& more = {}) const;

  // Run id -> its row of status --json.
  std::map<std::string, nlohmann::json> status() const;
  std::vector<std::string> in_state(const std::string& word) const;
  void wait_for_state(const std::string& word, std::size_t count) const;
  void wait_for_attempt(const std::string& run, int number) const;  // until it is held, too
  void release(const std::string& run) const;                       // empty: all
  void deafen() const;                                              // who asks them to save
  void kill_trainer(const std::string& run) const;                  // by SIGKILL
  std::string job_of(const std::string& run) const;
  std::filesystem::path folder() const { return results() / "tiny"; }
  std::filesystem::path run(const std::string& id) const { return folder() / "runs" / id; }

  // Runs the sweep without Slurm, in a folder of this name. Returns the folder of its runs.
  // resources: instead of the sweep's own.
  std::filesystem::path run_here(const std::string& name, const std::string& resources = "") const;
  // Each of these runs left what it leaves where nothing happens to it, bit for bit.
  void expect_undisturbed(const std::vector<std::string>& runs) const;
  // Nothing took a name for a command.
  void expect_unharmed() const;

 private:
  std::filesystem::path results() const;
  Words words(const std::string& verb, const Words& more) const;
  RunsFolder runs_;
};

}  // namespace metascale::testing
