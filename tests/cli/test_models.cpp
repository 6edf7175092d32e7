// The verbs that act on a trained model, as people call them.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cli/program.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::call_program, testing::Ended, testing::RunsFolder;

// A run of eight steps.
fs::path trained(const RunsFolder& runs, Architecture architecture) {
  RunConfig config = runs.config("model", architecture);
  config.training.steps = 8;
  config.log.checkpoint_every = 4;
  const fs::path folder = runs.write(config);
  REQUIRE(call_program(runs.path(), {"train", folder}).code == 0);
  return folder;
}

json json_of(const Ended& ended) {
  INFO(ended.text);
  REQUIRE(ended.code == 0);
  return json::parse(ended.text);
}

TEST_CASE("a model is grown, trained on and shown from the command line") {
  const RunsFolder runs;
  const fs::path parent = trained(runs, Architecture::meta_state), grown = runs.run("grown");
  const Ended grow =
      call_program(runs.path(), {"grow", parent, "--parameter-tokens", "2x", "--heads", "4",
                                 "--layers", "3", "--steps", "4", "-o", grown});
  CHECK(grow.code == 0);
  CHECK_THAT(grow.text, Catch::Contains("model at step 8 grew into") && Catch::Contains("-> 128"));
  CHECK(call_program(runs.path(), {"train", grown}).code == 0);
  const json shown = json_of(call_program(runs.path(), {"show", grown, "--json"}));
  CHECK(shown["step"] == 12);
  CHECK(shown["heads"] == 4);
  CHECK(shown["lineage"][0]["run"] == "model");
  CHECK(shown["lineage"][0]["step"] == 8);
  std::int64_t elements = 0;
  for (const json& tensor : shown["tensors"]) elements += tensor["elements"].get<std::int64_t>();
  CHECK(elements == shown["parameters"]);
  const Ended table = call_program(runs.path(), {"show", grown});
  CHECK_THAT(table.text, Catch::Contains("grown from model at step 8") &&
                             Catch::Contains("blocks.*.att.receptance.weight"));
}

TEST_CASE("two checkpoints are compared tensor by tensor") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::rwkv7);
  const fs::path first = run / "checkpoints" / "step-0000000004";
  const json same = json_of(call_program(runs.path(), {"show", run, run, "--json"}));
  for (const json& tensor : same["tensors"]) CHECK(tensor["changed"] == 0);
  const json moved = json_of(call_program(runs.path(), {"show", first, run, "--json"}));
  CHECK(moved["first"]["step"] == 4);
  CHECK(moved["tensors"][0]["relative_difference"].get<double>() > 0);
  CHECK_THAT(call_program(runs.path(), {"show", run, run}).text,
             Catch::Contains("tensors are equal"));
}

TEST_CASE("text is generated, the same for the same seed, in one go or in two") {
  const RunsFolder runs;
  const auto architecture = GENERATE(Architecture::transformer, Architecture::meta_state);
  const fs::path run = trained(runs, architecture);
  const auto generate = [&](const testing::Words& more) {
    testing::Words words{"generate", run, "--seed", "3", "--past-end", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return json_of(call_program(runs.path(), words));
  };
  const fs::path state = runs.path() / "state";
  const json whole = generate({"--prompt", "the state", "--tokens", "30"});
  CHECK(whole["tokens"].size() == 30);
  CHECK(whole["position"] == 1 + 9 + 30);
  CHECK(generate({"--prompt", "the state", "--tokens", "30"})["tokens"] == whole["tokens"]);
  json parts =
      generate({"--prompt", "the state", "--tokens", "12", "--save-state", state})["tokens"];
  const json rest = generate({"--restore-state", state, "--tokens", "18"});
  for (const json& token : rest["tokens"]) parts.push_back(token);
  CHECK(parts == whole["tokens"]);
  const Ended text = call_program(
      runs.path(), {"generate", run, "--prompt", "the", "--tokens", "5", "--temperature", "0"});
  CHECK(text.code == 0);
}

TEST_CASE("a model leaves and comes back with the same text in it") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::rwkv7), out = runs.path() / "out",
                 back = runs.path() / "back";
  CHECK(call_program(runs.path(), {"export", run, "--format", "fla", "-o", out}).code == 0);
  CHECK(fs::exists(out / "model.safetensors"));
  CHECK(call_program(runs.path(), {"import", out, "-o", back}).code == 0);
  const json compared = json_of(call_program(runs.path(), {"show", run, back, "--json"}));
  for (const json& tensor : compared["tensors"]) CHECK(tensor["changed"] == 0);
}

TEST_CASE("what cannot be done with a model ends with the exit code that says whose fault it is") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::rwkv7), out = runs.path() / "out";
  const auto code = [&](const testing::Words& words) {
    const Ended ended = call_program(runs.path(), words);
    CAPTURE(ended.text);
    return ended.code;
  };
  CHECK(code({"show", runs.path() / "nothing"}) == 2);
  CHECK(code({"grow", run, "-o", out}) == 2);
  CHECK(code({"grow", run, "--heads", "1", "-o", out}) == 2);
  CHECK(code({"export", run, "--format", "onnx", "-o", out}) == 2);
  CHECK(code({"generate", run, "--top-p", "0"}) == 2);
  std::ofstream(runs.path() / "pickle.pth") << "PK";
  CHECK(code({"import", runs.path() / "pickle.pth", "-o", out}) == 2);
  std::ofstream(runs.path() / "wrong.safetensors") << "no tensors";
  CHECK(code({"import", runs.path() / "wrong.safetensors", "-o", out}) == 65);
  CHECK_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace metascale
