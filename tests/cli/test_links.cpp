// Links in folders that somebody else made: nothing outside of a folder is written, removed or
// shown because of one.
#include <catch2/catch.hpp>
#include <fstream>

#include "core/atomic_file.hpp"
#include "tests/cli/outside.hpp"
#include "tests/cli/program.hpp"
#include "tests/support/tiny_sweep.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using testing::call_program, testing::Ended, testing::Precious, testing::PreciousFolder,
    testing::RunsFolder, testing::Words;

// What `logs` and others say of a link in the place of a file.
const auto is_not_followed = Contains("a symbolic link is not followed");

struct Trained {
  explicit Trained(const RunsFolder& runs) {
    RunConfig config = runs.config("run");
    config.training.steps = 2;
    folder = runs.write(config);
    REQUIRE(call_program(runs.path(), {"train", folder}).code == 0);
  }
  fs::path folder;
  fs::path checkpoint() const { return folder / "checkpoints/step-0000000002"; }
  void name_tokenizer(const fs::path& path) const {
    std::string text = read_file(folder / "config.yaml");
    const std::string bytes = "tokenizer: bytes";
    REQUIRE(text.find(bytes) != std::string::npos);
    text.replace(text.find(bytes), bytes.size(), "tokenizer: " + path.string());
    std::ofstream(folder / "config.yaml") << text;
  }
};

void expect_refused_link(const Ended& ended, const std::string& name) {
  CHECK(ended.code == int(ExitCode::bad_input));
  CHECK_THAT(ended.text, Contains(name + ": is a symbolic link"));
}

// ---- written and removed

TEST_CASE("a preparation in a folder whose 'unfinished' is a link is refused") {
  const RunsFolder runs;
  const PreciousFolder outside(runs.path());
  const fs::path out = runs.path() / "again";
  fs::create_directory(out);
  fs::create_directory_symlink(outside.path(), out / "unfinished");
  const Words words{"data", "prepare", runs.path() / "text", "--out", out};
  expect_refused_link(call_program(runs.path(), words), "unfinished");
  CHECK(outside.is_untouched());
}

TEST_CASE(
    "import and grow refuse a folder whose checkpoints are a link, as any that holds something") {
  const RunsFolder runs;
  const PreciousFolder outside(runs.path());
  const Trained model(runs);
  const fs::path in = runs.run("in"), out = runs.path() / "model";
  fs::create_directory(in);
  fs::create_directory_symlink(outside.path(), in / "checkpoints");
  const auto expect_refused = [](const Ended& ended) {
    CHECK(ended.code == int(ExitCode::usage));
    CHECK_THAT(ended.text, Contains("this folder is not empty"));
  };
  expect_refused(
      call_program(runs.path(), {"grow", model.folder, "--layers", "3", "--steps", "4", "-o", in}));
  REQUIRE(call_program(runs.path(), {"export", model.folder, "-o", out}).code == 0);
  expect_refused(call_program(runs.path(), {"import", out, "-o", in}));
  CHECK(outside.is_untouched());
}

TEST_CASE("a run whose evaluations are a link is refused before it computes") {
  const RunsFolder runs;
  const PreciousFolder outside(runs.path());
  const fs::path folder = runs.write(runs.config("run"));
  fs::create_directory_symlink(outside.path(), folder / "evaluations");
  expect_refused_link(call_program(runs.path(), {"train", folder}), "evaluations");
  CHECK_FALSE(fs::exists(folder / "journal.jsonl"));
  CHECK(outside.is_untouched());
}

TEST_CASE("a sweep does not append to the file that its events.jsonl is a link to") {
  const RunsFolder runs;
  const Precious outside(runs.path(), "the only copy");
  const fs::path sweep = write_tiny_sweep(runs), results = runs.path() / "results";
  fs::create_directories(results / "tiny");
  fs::create_symlink(outside.path(), results / "tiny/events.jsonl");
  const Ended ended = call_program(runs.path(), {"run", sweep, "--results", results});
  CHECK(ended.code == int(ExitCode::io));
  CHECK_THAT(ended.text, Contains("events.jsonl") && is_not_followed);
  CHECK(outside.is_untouched());
}

TEST_CASE("a report is not written through links below the results") {
  const RunsFolder runs;
  const PreciousFolder outside(runs.path());
  const Trained model(runs);
  const std::string name = GENERATE("report", "report/tables", "report/figures");
  fs::create_directories((runs.path() / name).parent_path());
  fs::create_directory_symlink(outside.path(), runs.path() / name);
  expect_refused_link(call_program(runs.path(), {"report", runs.path()}), name);
  CHECK(outside.is_untouched());
}

TEST_CASE("runs and reports go to other disks by links that people made") {
  const RunsFolder runs;
  const fs::path disk = runs.path() / "disk", sweep = write_tiny_sweep(runs),
                 results = runs.path() / "results", report = runs.path() / "link-to-report";
  for (const char* name : {"sweep", "report"}) fs::create_directories(disk / name);
  fs::create_directory(results);
  fs::create_directory_symlink(disk / "sweep", results / "tiny");
  fs::create_directory_symlink(disk / "report", report);
  REQUIRE(call_program(runs.path(), {"run", sweep, "--results", results, "--no-report"}).code == 0);
  const fs::path run = testing::run_of(results / "tiny", "rwkv7");
  fs::rename(run, disk / "run");
  fs::create_directory_symlink(disk / "run", run);
  fs::remove(run / "DONE");
  CHECK(call_program(runs.path(), {"run", sweep, "--results", results, "--no-report"}).code == 0);
  CHECK(fs::exists(disk / "run/DONE"));
  CHECK(call_program(runs.path(), {"report", results / "tiny", "--out", report, "--no-figures"})
            .code == 0);
  CHECK(fs::exists(disk / "report/report.html"));
}

// ---- read and shown

TEST_CASE("export copies the file that a configuration names only where it is a tokenizer") {
  const RunsFolder runs;
  const Trained model(runs);
  const fs::path out = runs.path() / "model";
  const Precious secret(runs.path(), GENERATE("secret", "{\"password\": \"secret\"}", "[[", ""));
  model.name_tokenizer(secret.path());
  const Ended ended = call_program(runs.path(), {"export", model.folder, "-o", out});
  CHECK(ended.code == int(ExitCode::bad_input));
  CHECK_THAT(ended.text, Contains("precious: no tokenizer.json") && !Contains("secret"));
  CHECK_FALSE(fs::exists(out / "tokenizer.json"));
}

TEST_CASE("export writes into no folder that holds something, be it a link") {
  const RunsFolder runs;
  const Trained model(runs);
  const Precious outside(runs.path(), "the only copy");
  const fs::path out = runs.path() / "model", tokenizer = runs.path() / "own.json";
  const std::string text = "{\"model\": {\"type\": \"Unigram\", \"vocab\": []}}";
  std::ofstream(tokenizer) << text;
  model.name_tokenizer(tokenizer);
  fs::create_directory(out);
  fs::create_symlink(outside.path(), out / "tokenizer.json");
  const Ended ended = call_program(runs.path(), {"export", model.folder, "-o", out});
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::usage));
  CHECK_THAT(ended.text, Contains("this folder is not empty"));
  CHECK(outside.is_untouched());
  CHECK(fs::is_symlink(out / "tokenizer.json"));
}

TEST_CASE("logs shows no file that a run's output is a link to") {
  const RunsFolder runs;
  const Precious secret(runs.path(), "secret\n");
  const fs::path attempts = runs.run("run") / "attempts", elsewhere = runs.path() / "elsewhere";
  fs::create_directories(attempts / "0001");
  fs::create_directory(elsewhere);
  const auto logs = [&] { return call_program(runs.path(), {"logs", runs.run("run")}); };
  std::ofstream(attempts / "0001/out.log") << "its own\n";
  std::ofstream(elsewhere / "out.log") << "secret\n";
  fs::create_directory_symlink(elsewhere, attempts / "0002");
  CHECK_THAT(logs().text, Contains("its own") && !Contains("secret"));
  fs::remove(attempts / "0001/out.log");
  fs::create_symlink(secret.path(), attempts / "0001/out.log");
  const Ended ended = logs();
  CHECK(ended.code == int(ExitCode::io));
  CHECK_THAT(ended.text, Contains("out.log") && is_not_followed && !Contains("secret"));
}

TEST_CASE("a report shows no file that FAILED or CANCELLED is a link to") {
  const RunsFolder runs;
  const Precious secret(runs.path(), "secret\n");
  const fs::path folder = runs.write(runs.config("run"));
  fs::create_symlink(secret.path(), folder / GENERATE("FAILED", "CANCELLED"));
  const Ended ended = call_program(runs.path(), {"report", runs.path(), "--no-figures"});
  CHECK_THAT(ended.text, !Contains("secret"));
  for (const auto& entry : fs::recursive_directory_iterator(runs.path() / "report"))
    if (entry.is_regular_file()) CHECK_THAT(read_file(entry.path()), !Contains("secret"));
}

TEST_CASE("a checkpoint whose files are links is not loaded") {
  const RunsFolder runs;
  const Trained model(runs);
  const std::string name = GENERATE("checkpoint.json", "model.safetensors", "moments.safetensors");
  fs::rename(model.checkpoint() / name, runs.path() / name);
  fs::create_symlink(runs.path() / name, model.checkpoint() / name);
  const Ended ended = call_program(runs.path(), {"show", model.folder});
  CHECK(ended.code == int(ExitCode::io));
  CHECK_THAT(ended.text, Contains(name) && is_not_followed);
}

}  // namespace
}  // namespace metascale
