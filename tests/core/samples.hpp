// What the tests of core share: a folder of their own, and a small log with every kind of row.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "core/error.hpp"
#include "core/run_file.hpp"
#include "tests/support/temporary_folder.hpp"

namespace metascale {

using testing::TemporaryFolder;

inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The message of the Error that body throws, which must have this code; "" if it throws none.
template <typename Body>
std::string error_of(ExitCode code, Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code == code ? error.what() : std::string("another exit code: ") + error.what();
  }
  return "";
}

inline StepRow sample_step(std::int64_t step, std::int32_t attempt = 1) {
  return {.step = step,
          .tokens = step * 4096,
          .flops = 1.5e9 * double(step),
          .loss = 11.0 / double(step + 1),
          .learning_rate = 1e-3 / 3,
          .gradient_norm = 0.1 * double(step),
          .digest = 0xfedcba9876543210u + std::uint64_t(step),
          .seconds = 0.25 + attempt,
          .tokens_per_second = 16384,
          .attempt = attempt};
}

inline Evaluation sample_evaluation(std::int64_t step, const std::string& split,
                                    bool with_segments) {
  Evaluation evaluation;
  evaluation.step = step;
  evaluation.split = split;
  evaluation.protocol = "packed_windows";
  evaluation.is_final = with_segments;
  evaluation.coverage = "64 of 812 windows";
  evaluation.digest = 0xffffffffffffffffu;
  evaluation.tokens = 300;
  evaluation.bytes = 1200;
  evaluation.nats = 700.125;
  evaluation.seconds = 3.5;
  evaluation.domains = {{"Pile-CC", 100, 400, 250.0}, {"ArXiv", 200, 800, 450.125}};
  evaluation.positions = {{0, 0, 10, 40.0}, {1, 3, 290, 660.125}};
  if (with_segments)
    evaluation.segments = {{0, 7, 1, 200, 800, 450.125}, {1, 9, 0, 100, 400, 250.0}};
  return evaluation;
}

inline RunLog sample_log(std::int64_t steps = 5) {
  RunLog log;
  log.run_id = "rwkv7-150M-1xC-s1-0123abcd";
  log.configuration = "schema: 1\nid: \"line\"\n# a longer text: \xc3\xa4\n";
  log.facts = {{"parameters", "151000000"}, {"flops_per_token", "6.827e8"}};
  log.environment = {{"host", "here"}, {"threads", "2"}, {"empty", ""}};
  for (std::int64_t step = 1; step <= steps; ++step) log.steps.push_back(sample_step(step));
  log.evaluations = {sample_evaluation(2, "validation", false),
                     sample_evaluation(steps, "test", true)};
  log.events = {{1.7e9 + 0.125, 0, 1, "start", "on \"here\""}, {1.7e9 + 9, steps, 1, "done", ""}};
  return log;
}

}  // namespace metascale
