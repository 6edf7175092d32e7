// Sweep files of runs that train in a fraction of a second.
#pragma once

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "tests/support/tiny_run.hpp"

namespace metascale::testing {

// Arm rwkv7, the baseline, and another one; ten steps of 256 tokens unless it says otherwise.
struct TinySweep {
  std::string other_arm = "transformer: {architecture: transformer}";
  std::string lengths = "2560 tokens";
  std::string seeds = "1";
  std::string training;  // further keys of it
  std::string lines;     // further lines, each with its end
};

// Writes sweep.yaml into the folder; returns its path.
inline std::filesystem::path write_tiny_sweep(const RunsFolder& runs, const TinySweep& sweep = {}) {
  const std::filesystem::path file = runs.path() / "sweep.yaml";
  std::ofstream(file) << fmt::format(
      R"(schema: 1
name: tiny
arms:
  rwkv7: {{architecture: rwkv7, rank_decay: 8, rank_rate: 8, rank_value: 8, rank_gate: 8}}
  {}
match: {{on: non_embedding_parameters, tolerance: 2%}}
axes:
  size: [{{name: 30k, layers: 2, width: 32, head_size: 16, target: 30k}}]
  length: [{}]
  seed: [{}]
training: {{batch_tokens: 256, context: 32{}{}}}
data: {{name: tiny, train: {}, validation: {}, test: {}, tokenizer: bytes}}
{})",
      sweep.other_arm, sweep.lengths, sweep.seeds, sweep.training.empty() ? "" : ", ",
      sweep.training, runs.tokens("train").string(), runs.tokens("validation").string(),
      runs.tokens("test").string(), sweep.lines);
  return file;
}

// The folder of the first run found whose id begins so.
inline std::filesystem::path run_of(const std::filesystem::path& sweep_folder,
                                    const std::string& prefix) {
  for (const auto& item : std::filesystem::directory_iterator(sweep_folder / "runs"))
    if (item.path().filename().string().starts_with(prefix)) return item.path();
  FAIL("no run of " << prefix);
  return {};
}

}  // namespace metascale::testing
