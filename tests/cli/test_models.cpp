// The verbs that act on a trained model, as people call them.
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "experiments/stored_model.hpp"
#include "tests/cli/program.hpp"
#include "tests/cli/trained.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::call_program, testing::Ended, testing::RunsFolder, testing::trained;

json json_of(const Ended& ended) {
  INFO(ended.text);
  REQUIRE(ended.code == 0);
  return json::parse(ended.text.substr(ended.text.find('{')));  // behind lines of progress
}

TEST_CASE("a model is grown, trained on and shown from the command line") {
  const RunsFolder runs;
  const fs::path parent = trained(runs, Architecture::meta_state, 8, 4), grown = runs.run("grown");
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
  const fs::path run = trained(runs, Architecture::rwkv7, 8, 4);
  const fs::path first = run / "checkpoints" / "step-0000000004";
  const json same = json_of(call_program(runs.path(), {"show", run, run, "--json"}));
  for (const json& tensor : same["tensors"]) CHECK(tensor["changed"] == 0);
  const json moved = json_of(call_program(runs.path(), {"show", first, run, "--json"}));
  CHECK(moved["first"]["step"] == 4);
  CHECK(moved["tensors"][0]["relative_difference"].get<double>() > 0);
  CHECK_THAT(call_program(runs.path(), {"show", run, run}).text,
             Catch::Contains("tensors are equal"));
}

TEST_CASE("a model is compared with its ancestor block by block, wherever new blocks went in") {
  const RunsFolder runs;
  const fs::path parent = trained(runs, Architecture::rwkv7, 8, 4), grown = runs.run("grown");
  REQUIRE(call_program(runs.path(),
                       {"grow", parent, "--layers", "4", "--insert-after", "0", "0", "-o", grown})
              .code == 0);
  const json compared = json_of(call_program(runs.path(), {"show", parent, grown, "--json"}));
  std::size_t moved = 0;
  for (const json& tensor : compared["tensors"]) {
    const std::string name = tensor["name"], shapes = tensor["shapes"];
    CAPTURE(name);
    CHECK(tensor["changed"] == 0);
    CHECK((shapes.empty() || shapes == "only in the second"));
    if (!tensor.contains("name_in_second")) continue;
    CHECK(tensor["name_in_second"] == "blocks.3." + name.substr(std::string("blocks.1.").size()));
    ++moved;
  }
  CHECK(moved > 10);
}

TEST_CASE("text is generated, the same for the same seed, in one go or in two") {
  const RunsFolder runs;
  const auto architecture = GENERATE(Architecture::transformer, Architecture::meta_state);
  const fs::path run = trained(runs, architecture, 8, 4);
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
  const fs::path run = trained(runs, Architecture::rwkv7, 8, 4), out = runs.path() / "out",
                 back = runs.path() / "back";
  CHECK(call_program(runs.path(), {"export", run, "--format", "fla", "-o", out}).code == 0);
  CHECK(fs::exists(out / "model.safetensors"));
  CHECK(call_program(runs.path(), {"import", out, "-o", back}).code == 0);
  const json compared = json_of(call_program(runs.path(), {"show", run, back, "--json"}));
  for (const json& tensor : compared["tensors"]) CHECK(tensor["changed"] == 0);
  const fs::path grown = runs.path() / "grown";
  CHECK_THAT(
      call_program(runs.path(), {"grow", back, "--parameter-tokens", "2x", "-o", grown}).text,
      Catch::Contains("back at step 0 grew into"));
  const json shown = json_of(call_program(runs.path(), {"show", grown, "--json"}));
  CHECK(shown["lineage"][0]["run"] == "back");
}

TEST_CASE("what leaves, comes in and grows is told to machines in one line") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::meta_state, 8, 4), out = runs.path() / "out",
                 back = runs.path() / "back", grown = runs.path() / "grown";
  const auto words = [&](const testing::Words& call) {
    const Ended ended = call_program(runs.path(), call);
    CHECK(ended.text.find('\n') + 1 == ended.text.size());
    return json_of(ended);
  };
  CHECK(words({"export", run, "-o", out, "--json"}) ==
        json({{"run", "model"}, {"step", 8}, {"format", "meta_state"}, {"folder", out.string()}}));
  const json came = words({"import", out, "-o", back, "--json"});
  const ModelConfig model = find_model(run).run.model;
  CHECK(came == json({{"folder", back.string()},
                      {"architecture", "meta_state"},
                      {"layers", model.layers},
                      {"width", model.width},
                      {"vocabulary", model.vocabulary},
                      {"tokenizer", "bytes"}}));
  const json told = words({"grow", run, "--layers", "3", "--steps", "4", "-o", grown, "--json"});
  CHECK(told["parent"]["run"] == "model");
  CHECK(told["grown"]["layers"] == 3);
  const json shown = json_of(call_program(runs.path(), {"show", grown, "--json"}));
  CHECK(told["grown"]["parameters"] == shown["parameters"]);
  CHECK(told["inherited_tokens"] == 8.0 * double(find_model(run).run.training.batch_tokens));
}

TEST_CASE("a model that came in is evaluated by our protocol, to the bits that it left with") {
  const RunsFolder runs;
  const auto [architecture, format] =
      GENERATE(table<Architecture, const char*>({{Architecture::transformer, "gpt_neox"},
                                                 {Architecture::transformer_pp, "llama"},
                                                 {Architecture::rwkv7, "rwkv"},
                                                 {Architecture::rwkv7, "fla"},
                                                 {Architecture::meta_state, "meta_state"}}));
  CAPTURE(format);
  const fs::path run = trained(runs, architecture, 8, 4), out = runs.path() / "out",
                 back = runs.path() / "back";
  REQUIRE(call_program(runs.path(), {"export", run, "--format", format, "-o", out}).code == 0);
  REQUIRE(call_program(runs.path(), {"import", out, "-o", back}).code == 0);
  for (const char* protocol : {"packed", "rolling"}) {
    const auto evaluated = [&](const fs::path& model) {
      return json_of(call_program(runs.path(), {"eval", model, "--data", runs.tokens("test"),
                                                "--protocol", protocol, "--json"}));
    };
    const json left = evaluated(run), came = evaluated(back);
    CHECK(came["nats"].get<double>() == left["nats"].get<double>());
    CHECK(came["context"] == 32);
    CHECK(came["bits_per_byte"] == left["bits_per_byte"]);
    CHECK(came["digest"] == left["digest"]);
    CHECK(came["step"] == 0);
  }
}

TEST_CASE("evaluations of two models are kept by document, and compared pairwise") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::rwkv7, 8, 4),
                 earlier = run / "checkpoints" / "step-0000000004";
  const auto evaluated = [&](const fs::path& model, const std::string& name,
                             const testing::Words& more = {}) {
    testing::Words words{"eval",   model,
                         "--data", runs.tokens("test"),
                         "--out",  runs.path() / "sums" / (name + ".bin"),
                         "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return json_of(call_program(runs.path(), words));
  };
  const auto compared = [&](const fs::path& first, const fs::path& second,
                            const testing::Words& more = {}) {
    testing::Words words{"compare", first, second};
    words.insert(words.end(), more.begin(), more.end());
    return call_program(runs.path(), words);
  };
  const fs::path sums = runs.path() / "sums";
  const json first = evaluated(earlier, "step4"), second = evaluated(run, "step8");
  const double difference =
      second["nats_per_token"].get<double>() - first["nats_per_token"].get<double>();
  CHECK(difference < 0);
  const json pair = json_of(compared(sums / "step4.bin", sums / "step8.bin", {"--json"}));
  CHECK(pair["comparable"] == true);
  CHECK(pair["difference"].get<double>() == Approx(difference));
  CHECK(pair["step"] == 4);
  CHECK(pair["second_step"] == 8);
  CHECK(pair["bca"][0].get<double>() <= difference);
  CHECK(pair["bca"][1].get<double>() >= difference);
  CHECK_THAT(compared(sums / "step4.bin", sums / "step8.bin").text,
             Catch::Contains("at steps 4 and 8"));
  CHECK(compared(sums / "step4.bin", sums / "step8.bin", {"--assert", "step8 < step4"}).code == 0);
  CHECK(compared(sums / "step4.bin", sums / "step8.bin", {"--assert", "step4 < step8"}).code == 4);

  // What the run left of its own final evaluation is of the same form, and the same windows.
  const json own =
      json_of(compared(run / "evaluations" / "test-step-8.bin", sums / "step8.bin", {"--json"}));
  CHECK(std::abs(own["difference"].get<double>()) < 1e-5);

  evaluated(run, "short", {"--context", "16"});
  evaluated(run, "rolling", {"--protocol", "rolling"});
  for (const char* other : {"short.bin", "rolling.bin"}) {
    const Ended refused = compared(sums / "step8.bin", sums / other);
    CHECK(refused.code == 4);
    CHECK_THAT(refused.text, Catch::Contains("not comparable: evaluated on different windows"));
  }
  CHECK(compared(sums / "step8.bin", run).code == 2);
  CHECK(compared(run / "config.yaml", sums / "step8.bin").code == 65);
  CHECK(
      call_program(runs.path(), {"eval", run, "--data", runs.tokens("test"), "--out", sums}).code ==
      2);
}

TEST_CASE("what cannot be done with a model ends with the exit code that says whose fault it is") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::rwkv7, 8, 4), out = runs.path() / "out";
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

TEST_CASE("a growth that makes no run is told of the grown run, not of its parent's file") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::rwkv7, 8, 8);
  const auto [name, options] =
      GENERATE(table<std::string, testing::Words>({{"bad name", {"--layers", "3"}},
                                                   {"g", {"--layers", "1001"}},
                                                   {"g", {"--heads", "60000000"}}}));
  testing::Words words{"grow", run, "-o", runs.path() / name};
  words.insert(words.end(), options.begin(), options.end());
  const Ended ended = call_program(runs.path(), words);
  INFO(ended.text);
  CHECK(ended.code == 2);
  CHECK_THAT(ended.text,
             Catch::Contains("the grown run '" + name + "'") && !Catch::Contains("config.yaml"));
}

TEST_CASE("numbers and names that mean nothing are refused before a model is looked for") {
  const RunsFolder runs;
  const testing::Words words =
      GENERATE(values<testing::Words>({{"grow", ".", "-o", "x", "--steps", "9223372036854775807"},
                                       {"grow", ".", "-o", "x", "--steps", "0"},
                                       {"grow", ".", "-o", "x", "--insert-after", "-1"},
                                       {"grow", ".", "-o", "x", "--new-learning-rate", "inf"},
                                       {"grow", ".", "-o", "x", "--new-weight-decay", "-1"},
                                       {"generate", ".", "--seed", "-1"},
                                       {"generate", ".", "--seed", "18446744073709551616"},
                                       {"generate", ".", "--save-state", ""},
                                       {"generate", ".", "--restore-state", ""}}));
  CAPTURE(words);
  const Ended ended = call_program(runs.path(), words);
  INFO(ended.text);
  CHECK(ended.code == 2);
  CHECK_THAT(ended.text, Catch::Contains(words[words.size() - 2] + ": "));
  CHECK(ended.text.size() < 250);  // no bounds of hundreds of digits
  const Ended sampling =
      call_program(runs.path(), {"generate", ".", "--tokens", "0", "--temperature", "-1"});
  CHECK(sampling.code == 2);
  CHECK_THAT(sampling.text, Catch::Contains("temperature -1"));
}

TEST_CASE("an evaluation in windows larger than its data is refused with the number of tokens") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::rwkv7, 8, 4);
  const json tokens =
      json_of(call_program(runs.path(), {"data", "inspect", runs.tokens("test"), "--json"}));
  const std::int64_t count = tokens["tokens"];
  const std::string protocol = GENERATE("packed", "rolling");
  for (const std::int64_t context : {count, std::int64_t(1) << 24}) {
    const Ended ended =
        call_program(runs.path(), {"eval", run, "--data", runs.tokens("test"), "--protocol",
                                   protocol, "--context", std::to_string(context)});
    INFO(ended.text);
    CHECK(ended.code == 2);
    CHECK_THAT(ended.text, Catch::Contains("has " + std::to_string(count) + " tokens, in which"));
  }
}

TEST_CASE("verbs that find only a damaged checkpoint name the damage") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::rwkv7, 8, 4);
  for (const auto& item : fs::directory_iterator(run / "checkpoints"))
    fs::resize_file(item.path() / "model.safetensors", 1000);
  for (const testing::Words& words :
       {testing::Words{"show", run}, testing::Words{"generate", run, "--tokens", "1"},
        testing::Words{"eval", run, "--data", runs.tokens("test")}}) {
    const Ended ended = call_program(runs.path(), words);
    CAPTURE(ended.text);
    CHECK(ended.code == 65);
    CHECK_THAT(ended.text,
               Catch::Contains("no whole checkpoint: ") &&
                   Catch::Contains("step-0000000008/model.safetensors has 1000 bytes") &&
                   Catch::Contains("from a copy") && !Catch::Contains("train it first"));
  }
  fs::remove_all(run / "checkpoints");
  CHECK_THAT(call_program(runs.path(), {"show", run}).text,
             Catch::Contains("no whole checkpoint; train it first"));
}

}  // namespace
}  // namespace metascale
