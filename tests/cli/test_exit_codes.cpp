// What the program says and returns when something is wrong: docs/sweep-file.md, "Exit codes".
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "core/atomic_file.hpp"
#include "tests/cli/h5py.hpp"
#include "tests/cli/program.hpp"
#include "tests/support/small_disk.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using testing::call_program, testing::Ended, testing::expect_equal_bits, testing::outcome_of,
    testing::RunsFolder, testing::Words;

// The verbs that a help lists: the first words of the lines below "Subcommands:".
Words verbs_of(const std::string& help) {
  const std::size_t list = help.find("\nSubcommands:\n");
  std::istringstream lines(help.substr(list == std::string::npos ? help.size() : list + 14));
  Words verbs;
  for (std::string line; std::getline(lines, line) && line.starts_with("  ");)
    if (line.substr(2, 1) != " ") verbs.push_back(line.substr(2, line.find(' ', 2) - 2));
  return verbs;
}

Ended help_of(const RunsFolder& runs, Words verb) {
  verb.push_back("--help");
  const Ended help = call_program(runs.path(), verb);
  INFO(help.text);
  CHECK(help.code == 0);
  return help;
}

TEST_CASE("every verb that the program's help lists has help of its own, with an example") {
  const RunsFolder runs;
  const Words verbs = verbs_of(help_of(runs, {}).text);
  CHECK(verbs.size() >= 20);
  std::size_t inner = 0;
  const auto expect_example = [&](const Words& verb, const std::string& help) {
    CAPTURE(verb);
    CHECK_THAT(help, Contains("Example:") && Contains("metascale " + verb[0]));
  };
  for (const std::string& verb : verbs) {
    const std::string help = help_of(runs, {verb}).text;
    const Words more = verbs_of(help);
    if (more.empty()) expect_example({verb}, help);
    for (const std::string& each : more)
      expect_example({verb, each}, help_of(runs, {verb, each}).text);
    inner += more.size();
  }
  CHECK(inner >= 10);  // of bench and of data
}

// Of a verb's help: the lines of options that take a number without saying which ones they take.
Words unbounded_numbers(const std::string& help) {
  std::istringstream lines(help);
  Words found;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name, type;
    words >> name >> type;
    if (type == "INT" || type == "UINT") found.push_back(line);
  }
  return found;
}

TEST_CASE("every option of every verb that takes a whole number refuses those that mean nothing") {
  const RunsFolder runs;
  int bounded = 0;
  const auto expect_bounds = [&](const Words& verb) {
    CAPTURE(verb);
    const std::string help = help_of(runs, verb).text;
    CHECK(unbounded_numbers(help) == Words{});
    for (const char* bound : {" INT:", " UINT:"})
      for (std::size_t at = 0; (at = help.find(bound, at)) != std::string::npos; ++at) ++bounded;
  };
  for (const std::string& verb : verbs_of(help_of(runs, {}).text)) {
    expect_bounds({verb});
    for (const std::string& more : verbs_of(help_of(runs, {verb}).text))
      expect_bounds({verb, more});
  }
  CHECK(bounded >= 30);
}

TEST_CASE("negative counts and none are errors of usage that name the option") {
  const RunsFolder runs;
  const Words words = GENERATE(values<Words>({{"run", "x.yaml", "--threads", "-3"},
                                              {"run", "x.yaml", "--slots", "-1"},
                                              {"run", "x.yaml", "--slots", "0"},
                                              {"report", ".", "--interval", "999999999"},
                                              {"fit", ".", "--nearest", "-1"},
                                              {"fit", ".", "--seed", "-1"},
                                              {"generate", ".", "--seed", "-1"},
                                              {"grow", ".", "-o", "x", "--steps", "-5"},
                                              {"grow", ".", "-o", "x", "--insert-after", "-5"},
                                              {"data", "inspect", "x", "--samples", "-3"}}));
  const Ended ended = call_program(runs.path(), words);
  INFO(ended.text);
  CHECK(ended.code == 2);
  CHECK_THAT(ended.text, Contains(words[words.size() - 2] + ": "));
}

TEST_CASE("an unknown verb, an unknown option and no verb at all are errors of usage") {
  const RunsFolder runs;
  const Words words = GENERATE(values<Words>({{"trian"}, {"plan", "x.yaml", "--quickly"}, {}}));
  CHECK(call_program(runs.path(), words).code == 2);
}

TEST_CASE("an empty assertion is an error of usage, not one that holds") {
  const RunsFolder runs;
  const Ended ended = call_program(runs.path(), {"compare", ".", ".", "--assert", ""});
  CHECK(ended.code == 2);
  CHECK_THAT(ended.text, Contains("--assert: is empty; give for example"));
}

// A command line of each verb that takes a path, with one that is not there.
const std::vector<Words> with_missing_paths{
    {"check", "missing.yaml"},
    {"plan", "missing.yaml"},
    {"run", "missing.yaml"},
    {"submit", "missing.yaml"},
    {"bench", "sweep", "missing.yaml"},
    {"status", "missing"},
    {"report", "missing"},
    {"retry", "missing", "--all", "-y"},
    {"cancel", "missing", "--all", "-y"},
    {"repair", "missing"},
    {"train", "missing"},
    {"logs", "missing"},
    {"launch", "missing", "0"},
    {"compare", "missing", "."},
    {"compare", ".", "missing"},
    {"fit", "missing.csv", "--parameters", "n"},
    {"show", "missing"},
    {"eval", "missing", "--data", "."},
    {"probe", "missing"},
    {"generate", "missing"},
    {"grow", "missing", "-o", "made"},
    {"export", "missing", "-o", "made"},
    {"import", "missing", "-o", "made"},
    {"import", "missing.safetensors", "-o", "made"},
    {"data", "prepare", "missing.jsonl", "--out", "made"},
    {"data", "prepare", ".", "--out", "made", "--tokenizer", "missing.json"},
    {"data", "inspect", "missing"},
    {"data", "inspect", "missing", "--format", "uint16"},
    {"data", "verify", "missing"},
    {"data", "verify", "missing", "--format", "uint16"},
    {"data", "convert", "missing", "--format", "llm.c", "--out", "made"},
    {"data", "encode", "--tokenizer", "bytes", "missing.txt"},
    {"data", "decode", "--tokenizer", "bytes", "missing.txt"},
};

TEST_CASE("a path on the command line that is not there is named, and ends with 2") {
  const RunsFolder runs;
  for (const Words& words : with_missing_paths) {
    CAPTURE(words);
    const Ended ended = call_program(runs.path(), words);
    CAPTURE(ended.text);
    CHECK(ended.code == 2);
    CHECK_THAT(ended.text, Contains("missing"));
  }
  CHECK_FALSE(fs::exists("made"));
}

TEST_CASE("all verbs that take a path are asked for one that is not there") {
  const RunsFolder runs;
  const Words without_path{"doctor",     "bench cpu",     "bench gpu",
                           "bench step", "bench context", "data corpus"};
  Words missed;
  const auto is_asked = [&](const std::string& verb) {
    return std::any_of(
        with_missing_paths.begin(), with_missing_paths.end(),
        [&](const Words& words) { return words[0] == verb || words[0] + " " + words[1] == verb; });
  };
  for (const std::string& verb : verbs_of(help_of(runs, {}).text)) {
    const Words more = verbs_of(help_of(runs, {verb}).text);
    for (const std::string& each : more.empty() ? Words{""} : more) {
      const std::string whole = each.empty() ? verb : verb + " " + each;
      const bool takes_none =
          std::find(without_path.begin(), without_path.end(), whole) != without_path.end();
      if (!takes_none && !is_asked(whole)) missed.push_back(whole);
    }
  }
  CHECK(missed == Words{});
}

TEST_CASE("eval of a token file that is not there ends with 2") {
  const RunsFolder runs;
  const std::string run = runs.write(runs.config("run")).string();
  REQUIRE(call_program(runs.path(), {"train", run}).code == 0);
  const Ended ended = call_program(runs.path(), {"eval", run, "--data", "missing"});
  CHECK(ended.code == 2);
  CHECK_THAT(ended.text, Contains("missing.idx: cannot open it") && Contains("check the path"));
}

TEST_CASE("an unknown key of a sweep file is named with its line") {
  const RunsFolder runs;
  std::ofstream(runs.path() / "sweep.yaml") << R"(schema: 1
name: x
arms: {a: {architecture: rwkv7}, b: {architecture: meta_state}}
match: {on: parameters, tolerence: 1%}
axes: {size: [150M], length: [1xC], seed: [1]}
data: {name: x, train: train, validation: validation, test: test}
)";
  const Ended ended = call_program(runs.path(), {"check", (runs.path() / "sweep.yaml").string()});
  CHECK(ended.code == 2);
  CHECK_THAT(ended.text, Contains("sweep.yaml:4") && Contains("tolerence"));
}

TEST_CASE("an unknown key of a run's configuration is named with its line") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run"));
  std::ofstream(folder / "config.yaml", std::ios::app) << "colour: red\n";
  const std::string text = read_file(folder / "config.yaml");
  const auto line = std::count(text.begin(), text.end(), '\n');
  const Ended ended = call_program(runs.path(), {"train", folder.string()});
  CHECK(ended.code == 2);
  CHECK_THAT(ended.text, Contains(fmt::format("config.yaml:{}", line)) && Contains("colour"));
}

TEST_CASE("a damaged index of a token file is bad input, named") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run")), index = runs.tokens("train.idx");
  const auto bytes = fs::file_size(index);
  fs::resize_file(index,
                  GENERATE_COPY(bytes - 1, bytes / 2, std::uintmax_t(20), std::uintmax_t(0)));
  const Ended ended = call_program(runs.path(), {"train", folder.string()});
  CHECK(ended.code == 65);
  CHECK_THAT(ended.text, Contains("train.idx: has ") &&
                             Contains("make the token files anew with metascale data prepare"));
}

TEST_CASE("a description of token files that is no JSON is bad input, named") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run"));
  std::ofstream(runs.tokens("test.json")) << "{\"format\": ";
  const Ended ended = call_program(runs.path(), {"train", folder.string()});
  CHECK(ended.code == 65);
  CHECK_THAT(ended.text, Contains("test.json: is not JSON; make the token files anew"));
}

TEST_CASE("a corpus without text is bad input, named") {
  const RunsFolder runs;
  std::ofstream(runs.path() / "empty.jsonl");
  const Ended ended =
      call_program(runs.path(), {"data", "prepare", (runs.path() / "empty.jsonl").string(), "--out",
                                 (runs.path() / "out").string()});
  CHECK(ended.code == 65);
  CHECK_THAT(ended.text, Contains("empty.jsonl: the corpus is empty") &&
                             Contains("give it documents: lines of JSON with a \"text\""));
}

TEST_CASE("a checkpoint of another architecture is bad input, and both are named") {
  const RunsFolder runs;
  CHECK(call_program(runs.path(), {"train", runs.write(runs.config("run")).string()}).code == 0);
  fs::remove(runs.run("run") / "DONE");
  runs.write(runs.config("run", Architecture::meta_state));
  const Ended ended = call_program(runs.path(), {"train", runs.run("run").string()});
  CHECK(ended.code == 65);
  CHECK_THAT(ended.text, Contains("checkpoint: rwkv7") && Contains("this run:   meta_state"));
}

TEST_CASE("a run whose numbers explode fails with 3 and leaves FAILED") {
  const RunsFolder runs;
  RunConfig config = runs.config("run");
  config.training.optimizer.learning_rate = 10;
  config.training.optimizer.weight_decay = 100;
  const Ended ended = call_program(runs.path(), {"train", runs.write(config).string()});
  CHECK(ended.code == 3);
  CHECK_THAT(ended.text, Contains("not both finite"));
  CHECK_THAT(read_file(runs.run("run") / "FAILED"), Contains("not both finite"));
}

// ---- a full disk

TEST_CASE("a run on a full disk ends with 74, and goes on to equal bits once there is room") {
  const RunsFolder runs;
  const testing::SmallDisk disk(runs.path() / "runs", "16m");
  if (!disk.is_there()) {
    WARN("skipped: a full disk needs the right to mount one");
    return;
  }
  RunConfig config = runs.config("undisturbed", Architecture::meta_state);
  REQUIRE(call_program(runs.path(), {"train", runs.write(config).string()}).code == 0);
  config.id = "full";
  const std::string folder = runs.write(config).string();
  // Room for nothing at all, the journal, a checkpoint or two.
  const std::uintmax_t room = GENERATE(0, 8'000, 60'000, 500'000, 1'100'000);
  CAPTURE(room);
  testing::fill_up(runs.path() / "runs", room);
  const Ended full = call_program(runs.path(), {"train", folder});
  INFO(full.text);
  REQUIRE(full.code == 74);
  CHECK_THAT(full.text, Contains("No space left on device") && Contains("full"));
  fs::remove(runs.path() / "runs/ballast");
  const Ended resumed = call_program(runs.path(), {"train", folder});
  INFO(resumed.text);
  CHECK(resumed.code == 0);
  CHECK_FALSE(fs::exists(fs::path(folder) / "FAILED"));
  expect_equal_bits(outcome_of(runs.run("undisturbed")), outcome_of(folder));
}

// ---- what the log opens with

TEST_CASE("three lines of h5py open run.h5") {
  const RunsFolder runs;
  REQUIRE(call_program(runs.path(), {"train", runs.write(runs.config("run")).string()}).code == 0);
  if (!testing::has_h5py()) return;
  CHECK(testing::steps_that_h5py_sees(runs.run("run") / "run.h5") == 24);
}

}  // namespace
}  // namespace metascale
