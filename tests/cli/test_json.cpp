// --json of the verbs about one run: one line at the end, for machines.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "tests/cli/program.hpp"
#include "tests/cli/trained.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using nlohmann::json;
using testing::call_program, testing::Ended, testing::outcome_of, testing::RunsFolder;

json last_line(const Ended& ended) {
  CAPTURE(ended.text);
  REQUIRE(ended.text.size() > 1);
  const std::size_t end = ended.text.rfind('\n', ended.text.size() - 2);
  return json::parse(ended.text.substr(end == std::string::npos ? 0 : end + 1));
}

TEST_CASE("train --json ends with one line that says what the run reached") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run"));
  const Ended ended = call_program(runs.path(), {"train", folder.string(), "--json"});
  CHECK(ended.code == 0);
  const json words = last_line(ended);
  CHECK_THAT(ended.text, Contains(" tok/s") && !Contains("/s/s"));
  CHECK_THAT(ended.text, Contains("step 24: evaluating on test\n"));  // it may take minutes
  const auto log = outcome_of(folder).log;
  CHECK(words.at("run") == "run");
  CHECK(words.at("state") == "done");
  CHECK(words.at("exit_code") == 0);
  CHECK(words.at("step") == 24);
  CHECK(words.at("loss").get<double>() == log.steps.back().loss);
  CHECK(words.at("final").at("split") == "test");
  CHECK(words.at("final").at("nats_per_token").get<double>() == log.evaluations.back().loss());
}

TEST_CASE("train --json says of a run that failed what was wrong, with the same exit code") {
  const RunsFolder runs;
  RunConfig config = runs.config("run");
  config.training.optimizer.learning_rate = 10;
  config.training.optimizer.weight_decay = 100;
  const Ended ended = call_program(runs.path(), {"train", runs.write(config).string(), "--json"});
  CHECK(ended.code == 3);
  const std::size_t begin = ended.text.find("{\"");
  REQUIRE(begin != std::string::npos);
  const json words = json::parse(ended.text.substr(begin, ended.text.find('\n', begin) - begin));
  CHECK(words.at("state") == "failed");
  CHECK(words.at("exit_code") == 3);
  CHECK_THAT(words.at("error").get<std::string>(), Contains("not both finite"));
}

TEST_CASE("repair --json names every run and whether it was mended") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run"));
  REQUIRE(call_program(runs.path(), {"train", folder.string()}).code == 0);
  const auto repair = [&] {
    return last_line(call_program(runs.path(), {"repair", folder.string(), "--json"})).at("runs");
  };
  CHECK(repair() == json::array({{{"run", "run"}, {"repaired", false}}}));
  fs::resize_file(folder / "run.h5", 100);
  CHECK(repair() == json::array({{{"run", "run"}, {"repaired", true}}}));
}

TEST_CASE("repair of a sweep names runs that lost their journal, and repairs the others") {
  const RunsFolder runs;
  for (const char* name : {"a", "b"}) {
    RunConfig config = runs.config(name);
    config.training.steps = 2;
    testing::trained(runs, config);
  }
  if (GENERATE(true, false)) fs::remove(runs.run("a") / "run.h5");  // its checkpoints tell, too
  fs::remove(runs.run("a") / "journal.jsonl");
  fs::resize_file(runs.run("b") / "run.h5", 100);
  const Ended json_words = call_program(runs.path(), {"repair", runs.path(), "--json"});
  CHECK(json_words.code == 65);
  CHECK(last_line(json_words).at("runs") ==
        json::array({{{"run", "a"}, {"repaired", false}, {"lost", true}},
                     {{"run", "b"}, {"repaired", true}}}));
  const Ended words = call_program(runs.path(), {"repair", runs.path()});
  CHECK(words.code == 65);
  CHECK_THAT(words.text, Contains("a: journal.jsonl is missing") && Contains("b: good"));
}

TEST_CASE("repair passes over a model that was imported or grown and has not begun") {
  const RunsFolder runs;
  const fs::path parent = testing::trained(runs, Architecture::rwkv7, 2, 2);
  REQUIRE(call_program(runs.path(),
                       {"grow", parent, "--layers", "3", "--steps", "4", "-o", runs.run("grown")})
              .code == 0);
  const Ended ended = call_program(runs.path(), {"repair", runs.path()});
  INFO(ended.text);
  CHECK(ended.code == 0);
  CHECK_THAT(ended.text, Contains("model: good") && !Contains("grown"));
}

TEST_CASE("repair says that a run's journal is missing, or that there is none yet") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run"));
  const auto repair = [&](const fs::path& path) {
    return call_program(runs.path(), {"repair", path.string()});
  };
  const Ended pending = repair(folder);
  CHECK(pending.code == 2);
  CHECK_THAT(pending.text, Contains("has not begun") && Contains("metascale train"));
  CHECK_THAT(repair(runs.path()).text, Contains("none of its runs has a journal.jsonl"));
  CHECK_THAT(repair(runs.path() / "tokens").text, Contains("neither a run folder nor a sweep's"));
  REQUIRE(call_program(runs.path(), {"train", folder.string()}).code == 0);
  fs::remove(folder / "journal.jsonl");
  const Ended lost = repair(folder);
  CHECK(lost.code == 65);
  CHECK_THAT(lost.text, Contains("journal.jsonl is missing") && Contains("from a copy"));
}

TEST_CASE("logs --json is one line, whatever bytes a run printed") {
  const RunsFolder runs;
  const fs::path attempt = runs.run("run") / "attempts/0002";
  fs::create_directories(attempt);
  std::ofstream(attempt / "out.log") << "first\nlast \xff\n";
  const json words = last_line(
      call_program(runs.path(), {"logs", runs.run("run").string(), "--lines", "1", "--json"}));
  CHECK(words.at("attempt") == "0002");
  CHECK(words.at("log") == (attempt / "out.log").string());
  CHECK(words.at("text") == "last \xef\xbf\xbd\n");
}

TEST_CASE("data corpus takes --json, and an unknown tier stays an error of usage") {
  const RunsFolder runs;
  CHECK_THAT(call_program(runs.path(), {"data", "corpus", "--help"}).text, Contains("--json"));
  CHECK(call_program(runs.path(), {"data", "corpus", "--tier", "x", "--json"}).code == 2);
}

}  // namespace
}  // namespace metascale
