#include "tests/support/tiny_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <random>

#include "core/atomic_file.hpp"
#include "core/journal.hpp"
#include "core/log_differences.hpp"
#include "data/prepare.hpp"

namespace metascale::testing {

namespace fs = std::filesystem;

std::string tiny_documents(std::size_t bytes, unsigned seed) {
  static constexpr const char* words[] = {"state", "time",  "mix", "the",
                                          "reads", "value", "of",  "key"};
  std::mt19937 random(seed);
  std::string lines;
  for (int document = 0; lines.size() < bytes; ++document) {
    std::string text;
    for (unsigned count = 20 + random() % 20; count > 0; --count)
      text += std::string(words[random() % std::size(words)]) + " ";
    lines += fmt::format("{{\"text\": \"{}\", \"meta\": {{\"pile_set_name\": \"{}\"}}}}\n", text,
                         document % 2 ? "odd" : "even");
  }
  return lines;
}

RunsFolder::RunsFolder() {
  const fs::path text = path() / "text";
  fs::create_directories(text);
  std::ofstream(text / "train.jsonl") << tiny_documents(40'000, 1);
  std::ofstream(text / "val.jsonl") << tiny_documents(3'000, 2);
  std::ofstream(text / "test.jsonl") << tiny_documents(3'000, 3);
  prepare({.source = text, .out = path() / "tokens"}, *make_tokenizer("bytes"));
}

RunConfig RunsFolder::config(const std::string& id, Architecture architecture) const {
  RunConfig run;
  run.id = id;
  run.sweep = "tests";
  run.arm = name_of(architecture);
  run.size = "tiny";
  run.length = "24steps";
  run.threads = 1;
  run.model = {.architecture = architecture,
               .layers = 2,
               .width = 32,
               .vocabulary = 257,
               .head_size = 16,
               .feed_forward = 64,
               .rank_decay = 8,
               .rank_rate = 8,
               .rank_value = 8,
               .rank_gate = 8};
  run.training.steps = 24;
  run.training.batch_tokens = 256;
  run.training.micro_batch = 8;
  run.training.context = 32;
  run.training.schedule.warmup_steps = 2;
  run.training.optimizer.learning_rate = 1e-2;
  run.training.optimizer.final_learning_rate = 1e-3;
  run.data = {.name = "tiny",
              .train = tokens("train"),
              .validation = tokens("validation"),
              .test = tokens("test")};
  run.evaluation = {.every_steps = 8, .windows = 16};
  run.log.checkpoint_every = 6;
  run.match = {// of what pairs must agree on, what a run cannot tell itself
               {"schedule", "cosine"},
               {"match_on", "parameters"},
               {"match_value", "30000"},
               {"match_tolerance", "1%"}};
  return run;
}

fs::path RunsFolder::write(const RunConfig& config) const {
  fs::create_directories(run(config.id));
  write_file_atomically(run(config.id) / "config.yaml", to_yaml(config));
  return run(config.id);
}

std::vector<std::int64_t> checkpoint_steps(const fs::path& run_folder) {
  std::vector<std::int64_t> steps;
  for (const auto& item : fs::directory_iterator(run_folder / "checkpoints"))
    if (item.path().extension().empty())
      steps.push_back(std::stoll(item.path().filename().string().substr(5)));
  std::sort(steps.begin(), steps.end());
  return steps;
}

Outcome outcome_of(const fs::path& run_folder) {
  const auto steps = checkpoint_steps(run_folder);
  REQUIRE_FALSE(steps.empty());
  const fs::path newest = run_folder / "checkpoints" / fmt::format("step-{:010}", steps.back());
  return {.log = read_run_file(run_folder / "run.h5"),
          .weights = read_file(newest / "model.safetensors"),
          .moments = read_file(newest / "moments.safetensors")};
}

void expect_equal_bits(const Outcome& a, const Outcome& b) {
  const auto differences = log_differences(a.log, b.log, LogPart::deterministic);
  CHECK(differences == std::vector<std::string>{});
  REQUIRE_FALSE(a.log.steps.empty());
  CHECK((a.weights == b.weights));  // brackets: nobody wants to see the bytes
  CHECK((a.moments == b.moments));
  for (std::size_t i = 1; i < a.log.steps.size(); ++i)
    REQUIRE(a.log.steps[i].step == a.log.steps[i - 1].step + 1);
}

bool has_event(const RunLog& log, const std::string& kind) {
  return std::any_of(log.events.begin(), log.events.end(),
                     [&](const Event& event) { return event.kind == kind; });
}

}  // namespace metascale::testing
