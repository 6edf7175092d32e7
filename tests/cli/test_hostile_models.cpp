// Checkpoints and models that somebody forged: refused, with the exit code of a damaged file.
#include <catch2/catch.hpp>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/hash.hpp"
#include "tests/cli/foreign_model.hpp"
#include "tests/cli/program.hpp"
#include "tests/cli/trained.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using nlohmann::json;
using testing::call_program, testing::Ended, testing::RunsFolder, testing::trained;

constexpr const char* checkpoint = "checkpoints/step-0000000008";

// With the digest that belongs to it, as who forges it would write it.
void forge(const fs::path& run, const std::function<void(json&)>& change) {
  const fs::path path = run / checkpoint / "checkpoint.json";
  json document = json::parse(read_file(path));
  document.erase("xxh3_128");
  change(document);
  const std::string text = document.dump();
  document["xxh3_128"] = to_hex(xxh3_128(text.data(), text.size()));
  write_file_atomically(path, document.dump());
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

void replace(const fs::path& path, const std::string& wrong, const std::string& right) {
  std::string text = read_file(path);
  const std::size_t place = text.find(wrong);
  REQUIRE(place != std::string::npos);
  write_file_atomically(path, text.replace(place, wrong.size(), right));
}

TEST_CASE("a checkpoint whose state is forged is refused as damaged") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::rwkv7, 8, 8);
  const std::string whole = read_file(run / checkpoint / "checkpoint.json");
  const auto refusal = [&](const std::function<void(json&)>& change) {
    write_file_atomically(run / checkpoint / "checkpoint.json", whole);
    forge(run, change);
    const Ended ended = call_program(runs.path(), {"show", run / checkpoint});
    CHECK(ended.code == 65);
    return ended.text;
  };
  forge(run, [](json&) {});
  REQUIRE(call_program(runs.path(), {"show", run / checkpoint}).code == 0);
  CHECK_THAT(refusal([](json& it) { it["schema"] = "one"; }), Contains("checkpoint.json"));
  CHECK_THAT(refusal([](json& it) { it["model"] = 5; }), Contains("checkpoint.json"));
  CHECK_THAT(refusal([](json& it) { it["files"] = 5; }), Contains("checkpoint.json"));
  CHECK_THAT(refusal([](json& it) { it["step"] = 4; }), Contains("is of step 4"));
  CHECK_THAT(refusal([](json& it) { it["micro_batch"] = 0; }), Contains("no threads, windows"));
  CHECK_THAT(refusal([](json& it) { it["tokens"] = -1; }), Contains("negative"));
}

TEST_CASE("JSON as deep as a stack is refused: of a checkpoint, of a model's words and index") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::rwkv7, 8, 8), model = runs.path() / "model";
  write_file_atomically(run / checkpoint / "checkpoint.json", "{\"a\":" + nested(400'000) + "}");
  CHECK(call_program(runs.path(), {"show", run / checkpoint}).code == 65);
  fs::create_directories(model);
  write_file_atomically(model / "model.safetensors", std::string("\x02\0\0\0\0\0\0\0{}", 10));
  write_file_atomically(model / "config.json", "{\"model_type\":" + nested(400'000) + "}");
  CHECK(call_program(runs.path(), {"import", model, "-o", runs.path() / "out"}).code == 65);
  fs::rename(model / "model.safetensors", model / "part");
  write_file_atomically(model / "model.safetensors.index.json",
                        "{\"weight_map\":{\"a\":" + nested(400'000) + "}}");
  CHECK(call_program(runs.path(), {"import", model, "-o", runs.path() / "out"}).code == 65);
}

TEST_CASE("a configuration of a model that no memory holds is refused before memory is taken") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::rwkv7, 8, 8);
  forge(run, [](json& it) {
    std::string model = it["model"];
    model.replace(model.find("width=32"), 8, "width=1048576");
    model.replace(model.find("vocabulary=257"), 14, "vocabulary=67108864");
    it["model"] = model;
  });
  replace(run / "config.yaml", "width: 32", "width: 1048576");
  replace(run / "config.yaml", "vocabulary: 257", "vocabulary: 67108864");
  const Ended ended = call_program(runs.path(), {"show", run});
  INFO(ended.text);
  CHECK(ended.code == 65);
  CHECK_THAT(ended.text, Contains("has shape"));
}

TEST_CASE("more channels than can be counted are refused") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::rwkv7, 8, 8);
  replace(run / "config.yaml", "heads: 0", "heads: 1048576");
  const Ended ended = call_program(runs.path(), {"show", run});
  CHECK(ended.code == 2);
  CHECK_THAT(ended.text, Contains("config.yaml:") && Contains("channels"));
}

TEST_CASE("heads larger than the time mix has are refused by their size") {
  const RunsFolder runs;
  RunConfig config = runs.config("model");
  config.model.width = config.model.head_size = 256;
  const Ended ended = call_program(runs.path(), {"show", runs.write(config)});
  CHECK(ended.code == 2);
  CHECK_THAT(ended.text, Contains("model.head_size: 256 is too large"));
}

TEST_CASE("a foreign model whose heads cannot be turned in pairs is refused by its head size") {
  const RunsFolder runs;
  const fs::path model = testing::write_foreign_model(runs.path() / "model", 4, 4, 4);
  const Ended ended = call_program(runs.path(), {"import", model, "-o", runs.path() / "out"});
  CHECK(ended.code == 65);
  CHECK_THAT(ended.text, Contains("config.json: is no model that we compute") &&
                             Contains("model.head_size: 1 is odd"));
}

TEST_CASE("numbers that are not finite grow into no model: weights, and moments") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::rwkv7, 8, 8);
  const std::string name = GENERATE("model.safetensors", "moments.safetensors");
  std::string bytes = read_file(run / checkpoint / name);
  bytes.replace(bytes.size() - 4, 4, std::string("\0\0\xc0\x7f", 4));  // the last value: NaN
  write_file_atomically(run / checkpoint / name, bytes);
  forge(run, [&](json& it) {
    it["files"][name]["xxh3_128"] = to_hex(xxh3_128(bytes.data(), bytes.size()));
  });
  const Ended ended =
      call_program(runs.path(), {"grow", run, "--layers", "3", "-o", runs.path() / "grown"});
  INFO(ended.text);
  CHECK(ended.code == 65);
  CHECK_THAT(ended.text, Contains(name + ": tensor '") && Contains("holds nan at element"));
  CHECK_FALSE(fs::exists(runs.path() / "grown"));
}

}  // namespace
}  // namespace metascale
