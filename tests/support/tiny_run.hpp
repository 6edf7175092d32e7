// Runs that train in a fraction of a second, and what they leave behind.
#pragma once

#include <filesystem>
#include <string>

#include "core/run_file.hpp"
#include "experiments/config.hpp"
#include "tests/support/temporary_folder.hpp"

namespace metascale::testing {

// A folder of run folders with its own corpus (byte tokens; 40 kB train, 3 kB validation and test,
// two domains), removed with all in it.
class RunsFolder {
 public:
  RunsFolder();

  const std::filesystem::path& path() const { return folder_.path(); }
  std::filesystem::path tokens(const std::string& part) const { return path() / "tokens" / part; }
  std::filesystem::path run(const std::string& id) const { return path() / "runs" / id; }

  // Two layers of width 32, 24 steps of 256 tokens in windows of 32, one thread.
  RunConfig config(const std::string& id, Architecture architecture = Architecture::rwkv7) const;
  // Writes runs/<config.id>/config.yaml; returns the run folder.
  std::filesystem::path write(const RunConfig& config) const;

 private:
  TemporaryFolder folder_;
};

// JSON lines of documents whose words are few enough to be learnt in some dozen steps.
std::string tiny_documents(std::size_t bytes, unsigned seed);

// What a run leaves: its log, and the bytes of its newest checkpoint's files.
struct Outcome {
  RunLog log;
  std::string weights, moments;
};
Outcome outcome_of(const std::filesystem::path& run_folder);

// The steps whose checkpoints are there, ascending.
std::vector<std::int64_t> checkpoint_steps(const std::filesystem::path& run_folder);

// Deterministic columns, weights and moments, bit for bit; each step once.
void expect_equal_bits(const Outcome& a, const Outcome& b);

bool has_event(const RunLog& log, const std::string& kind);

}  // namespace metascale::testing
