// What leaves and comes in says everything that other tools, and ours, need: ids of texts' ends, a
// tokenizer that fits, keys that are called by their own names.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "tests/cli/foreign_model.hpp"
#include "tests/cli/program.hpp"
#include "tests/cli/trained.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using nlohmann::json;
using testing::call_program, testing::Ended, testing::RunsFolder, testing::Words;

fs::path exported(const RunsFolder& runs, Architecture architecture, const std::string& format) {
  const fs::path folder = testing::trained(runs, architecture, 2, 2),
                 out = runs.path() / "exported";
  REQUIRE(call_program(runs.path(), {"export", folder, "--format", format, "-o", out}).code == 0);
  return out;
}

json words_of(const fs::path& model) { return json::parse(read_file(model / "config.json")); }

void set(const fs::path& model, const char* key, const json& value) {
  json words = words_of(model);
  words[key] = value;
  write_file_atomically(model / "config.json", words.dump());
}

Ended import(const RunsFolder& runs, const fs::path& model, const Words& more = {}) {
  Words words{"import", model, "-o", runs.path() / "in"};
  words.insert(words.end(), more.begin(), more.end());
  return call_program(runs.path(), words);
}

TEST_CASE("an exported model says which id texts begin behind and end with") {
  const RunsFolder runs;
  const auto [architecture, format] =
      GENERATE(table<Architecture, const char*>({{Architecture::transformer, "gpt_neox"},
                                                 {Architecture::transformer_pp, "llama"},
                                                 {Architecture::rwkv7, "fla"},
                                                 {Architecture::meta_state, "meta_state"}}));
  const json words = words_of(exported(runs, architecture, format));
  CHECK(words.at("bos_token_id") == 256);  // of the tokenizer of bytes
  CHECK(words.at("eos_token_id") == 256);
}

TEST_CASE("a tokenizer that is asked for must not have more ids than the model") {
  const RunsFolder runs;
  const fs::path model = testing::write_foreign_model(runs.path() / "small", 8, 2, 200);
  const Ended ended = import(runs, model, {"--tokenizer", "bytes"});
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::bad_input));
  CHECK_THAT(ended.text, Contains("the tokenizer has 257 ids, but the model knows 200"));
  CHECK(import(runs, model, {"--tokenizer", "missing.json"}).code == int(ExitCode::usage));
  CHECK_FALSE(fs::exists(runs.path() / "in"));
}

TEST_CASE("a tokenizer of another kind may lie beside a model, but is not asked for") {
  const RunsFolder runs;
  const fs::path model = exported(runs, Architecture::transformer_pp, "llama");
  write_file_atomically(model / "tokenizer.json", R"({"model": {"type": "Unigram", "vocab": []}})");
  CHECK(import(runs, model, {"--tokenizer", model / "tokenizer.json"}).code ==
        int(ExitCode::bad_input));
  CHECK(import(runs, model).code == 0);
}

TEST_CASE("a share of rotated channels that there is not is refused by its key") {
  const RunsFolder runs;
  const fs::path model = exported(runs, Architecture::transformer, "gpt_neox");
  const double share = GENERATE(7.0, -0.5);
  set(model, "rotary_pct", share);
  Ended ended = import(runs, model);
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::bad_input));
  CHECK_THAT(ended.text, Contains("config.json: rotary_pct: ") && Contains("from 0 to 1"));
  set(model, "rotary_pct", nullptr);
  set(model, "rope_parameters", {{"partial_rotary_factor", share}});
  CHECK_THAT(import(runs, model).text, Contains("config.json: partial_rotary_factor: "));
  set(model, "rotary_pct", 0.25);  // the inner one counts
  CHECK_THAT(import(runs, model).text, Contains("config.json: partial_rotary_factor: "));
}

TEST_CASE("the run folder's name is the user's, not the foreign model's") {
  const RunsFolder runs;
  const fs::path model = exported(runs, Architecture::transformer, "gpt_neox");
  const Ended ended = call_program(runs.path(), {"import", model, "-o", runs.path() / "my run"});
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::usage));
  CHECK_THAT(ended.text, Contains("'my run' cannot be part of a file name"));
}

}  // namespace
}  // namespace metascale
