// metascale generate: text out of a model, token by token as it comes.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "cli/command.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"
#include "data/tokenizer.hpp"
#include "experiments/generation.hpp"
#include "experiments/sampling.hpp"

namespace metascale {
namespace {

struct GenerateVerb {
  std::filesystem::path checkpoint, save_state, restore_state;
  std::optional<std::string> prompt;
  std::int64_t tokens = 100;
  int threads = 1;
  Sampling sampling;
  bool past_end = false, json = false;
};

using Clock = std::chrono::steady_clock;

// Numbers beyond 64 bits, which CLI11 reads as the last one that has a place, are above it.
constexpr std::int64_t most_seed = std::int64_t(1) << 62;

std::string is_named(const std::string& file) {
  return file.empty() ? "an empty path names no file; give one, or leave the option out" : "";
}

std::string prompt_of(const GenerateVerb& verb) {
  if (!verb.prompt) return "";
  if (*verb.prompt != "-") return *verb.prompt;
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

// A model's vocabulary may be padded; what no token stands for is not drawn.
std::vector<double> drawable(const std::vector<double>& logits, const Tokenizer& tokenizer) {
  const auto count =
      std::min(std::ptrdiff_t(logits.size()), std::ptrdiff_t(tokenizer.vocabulary()));
  return {logits.begin(), logits.begin() + count};
}

// The prompt's tokens; a text that begins here begins behind the end of another one, as in
// training.
std::vector<std::int32_t> first_tokens(const GenerateVerb& verb, const Tokenizer& tokenizer) {
  std::vector<std::int32_t> ids;
  if (verb.restore_state.empty()) ids.push_back(tokenizer.end_of_document());
  tokenizer.encode(prompt_of(verb), ids);
  return ids;
}

// To stdout as it comes. Of a character that control codes begin with, the first byte waits for the
// second, which another token may bring.
class TextStream {
 public:
  void add(const std::string& text) {
    held_ += text;
    const bool waits = held_.ends_with('\xc2');
    write(held_.substr(0, held_.size() - waits));
    held_ = waits ? "\xc2" : "";
  }
  void finish() { write(std::exchange(held_, {})); }

 private:
  static void write(const std::string& text) {
    const std::string shown = for_stdout(text);
    std::fwrite(shown.data(), 1, shown.size(), stdout);
    std::fflush(stdout);
  }
  std::string held_;
};

ExitCode run_generate(const GenerateVerb& verb) {
  expect_file_name("--save-state", verb.save_state);
  sample({0.0}, verb.sampling, 0);  // what is no sampling is told before the model is read
  const StoredModel stored = find_model(verb.checkpoint);
  const auto tokenizer = make_tokenizer(stored.run.data.tokenizer);
  LoadedModel model =
      load_model(stored, stored.run.training.precision == Precision::f64 ? Dtype::f64 : Dtype::f32);
  Generator generator(model, verb.threads);
  if (!verb.restore_state.empty()) generator.restore_state(verb.restore_state);
  const auto prompt = first_tokens(verb, *tokenizer);
  generator.read(prompt);

  catch_stop_signals();
  const auto start = Clock::now();
  std::vector<std::int32_t> made;
  TextStream text;
  while (std::int64_t(made.size()) < verb.tokens && stop_request() == StopRequest::none) {
    const std::int32_t token = sample(drawable(generator.logits(), *tokenizer), verb.sampling,
                                      std::uint64_t(generator.position()));
    if (token == tokenizer->end_of_document() && !verb.past_end) break;
    made.push_back(token);
    generator.read(token);
    if (verb.json) continue;
    text.add(tokenizer->decode(std::span(&token, 1)));
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (!verb.save_state.empty()) generator.save_state(verb.save_state);
  text.finish();
  if (!verb.json) {
    fmt::print("\n");
    return ExitCode::good;
  }
  const nlohmann::json result{
      {"prompt_tokens", prompt.size()},         {"tokens", made},
      {"text", tokenizer->decode(made)},        {"position", generator.position()},
      {"state_bytes", generator.state_bytes()}, {"seconds", seconds}};
  fmt::print("{}\n", result.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  return ExitCode::good;
}

}  // namespace

void add_generate_verb(CLI::App& app, Action& action) {
  const auto options = std::make_shared<GenerateVerb>();
  CLI::App* verb = add_verb(app, action, "generate", "text out of a model, as it comes",
                            "metascale generate results/quick/runs/my-run --prompt \"Once upon\" "
                            "--tokens 200 --temperature 0.8 --top-p 0.95 --seed 1",
                            options, run_generate);
  verb->add_option("checkpoint", options->checkpoint,
                   "run folder, or one of its checkpoints/step-N")
      ->required();
  verb->add_option("--prompt", options->prompt,
                   "what the text begins with; - reads standard input");
  verb->add_option("--tokens", options->tokens, "at most so many [100]")
      ->check(CLI::Range(std::int64_t(0), std::int64_t(1) << 31));
  verb->add_option("--temperature", options->sampling.temperature,
                   "0: always the most likely token [1]");
  verb->add_option("--top-p", options->sampling.top_p,
                   "only the most likely tokens with this probability together [1]");
  verb->add_option("--seed", options->sampling.seed, "of the draws [0]")
      ->check(CLI::Range(std::int64_t(0), most_seed));
  verb->add_option("--threads", options->threads, "[1]")->check(CLI::Range(1, 4096));
  verb->add_option("--save-state", options->save_state, "file to go on from later")
      ->check(is_named);
  verb->add_option("--restore-state", options->restore_state, "go on from this file")
      ->check(is_named);
  verb->add_flag("--past-end", options->past_end, "go on where a text ends");
  verb->add_flag("--json", options->json, "ids, text, state size and time, at the end");
}

}  // namespace metascale
