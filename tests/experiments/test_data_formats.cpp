// data.format: runs on other people's token files.
#include <catch2/catch.hpp>

#include "experiments/model_evaluation.hpp"
#include "experiments/trainer.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale {
namespace {

using namespace testing;

std::string bytes_of(const auto* values, std::size_t count) {
  return {reinterpret_cast<const char*>(values), count * sizeof *values};
}

template <typename Stored>
std::string flat(const std::vector<std::int32_t>& ids) {
  const std::vector<Stored> stored(ids.begin(), ids.end());
  return bytes_of(stored.data(), stored.size());
}

// [llm.c: dev/data/data_common.py]
std::string llm_c(const std::vector<std::int32_t>& ids) {
  std::vector<std::int32_t> header(256, 0);
  header[0] = 20240520, header[1] = 1, header[2] = std::int32_t(ids.size());
  return bytes_of(header.data(), header.size()) + flat<std::uint16_t>(ids);
}

// The same tokens as runs' own, without an index, in folder/part.bin.
void write_flat(const RunsFolder& runs, const TemporaryFolder& folder, const std::string& format) {
  for (const char* part : {"train", "validation", "test"}) {
    const TokenFile file(runs.tokens(part));
    std::vector<std::int32_t> ids(std::size_t(file.tokens()));
    file.read(0, file.tokens(), ids.data());
    folder.write(std::string(part) + ".bin", format == "llm.c"    ? llm_c(ids)
                                             : format == "uint16" ? flat<std::uint16_t>(ids)
                                                                  : flat<std::uint32_t>(ids));
  }
}

}  // namespace

TEST_CASE("a run on a flat file is the run on the same tokens with an index, bit for bit") {
  const std::string format = GENERATE("llm.c", "uint16", "uint32");
  CAPTURE(format);
  const RunsFolder runs;
  const TemporaryFolder folder;
  RunConfig config = runs.config("indexed");
  config.training.steps = 3;
  config.data.reset_at_documents = true;  // so that documents matter
  const auto indexed = runs.write(config);
  REQUIRE(train(indexed, {}) == ExitCode::good);

  write_flat(runs, folder, format);
  config.id = "flat";
  config.data.format = format;
  config.data.train = folder / "train";
  config.data.validation = folder / "validation";
  config.data.test = folder / "test";
  const auto of_flat = runs.write(config);
  REQUIRE(train(of_flat, {}) == ExitCode::good);

  const Outcome a = outcome_of(indexed), b = outcome_of(of_flat);
  REQUIRE(b.log.steps.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(a.log.steps[i].digest == b.log.steps[i].digest);
    CHECK(a.log.steps[i].loss == b.log.steps[i].loss);
  }
  CHECK((a.weights == b.weights));
  REQUIRE(b.log.evaluations.back().is_final);
  CHECK(a.log.evaluations.back().nats == b.log.evaluations.back().nats);
  CHECK(a.log.evaluations.back().tokens == b.log.evaluations.back().tokens);

  // On disk: by the run's own format, or by the one that is told.
  const StoredModel stored = find_model(of_flat);
  const Evaluation own = evaluate_model(stored, {.data = folder / "test"});
  const Evaluation told =
      evaluate_model(stored, {.data = runs.tokens("test"), .layout = TokenLayout::megatron});
  CHECK(own.nats == told.nats);
  CHECK(own.nats == Approx(b.log.evaluations.back().nats).epsilon(1e-6));
}

TEST_CASE("a run says which file is not of its format") {
  const RunsFolder runs;
  const TemporaryFolder folder;
  write_flat(runs, folder, "uint16");
  RunConfig config = runs.config("wrong");
  config.data.train = folder / "train";
  config.data.format = "llm.c";
  const auto wrong = runs.write(config);
  CHECK_THROWS_WITH(train(wrong, {}), Catch::Contains("train.bin") && Catch::Contains("llm.c"));
  config.data.format = "megatron";
  config.id = "no-index";
  const auto no_index = runs.write(config);
  CHECK_THROWS_WITH(train(no_index, {}), Catch::Contains("train.idx"));
}

TEST_CASE("a format is written to config.yaml only where it is not the usual one") {
  const RunsFolder runs;
  RunConfig config = runs.config("usual");
  CHECK(to_yaml(config).find("format:") == std::string::npos);
  config.data.format = "llm.c";
  CHECK(parse_run_config(to_yaml(config), "config.yaml").data.format == "llm.c");
  std::string text = to_yaml(config);
  text.replace(text.find("llm.c"), 5, "llmc");
  CHECK_THROWS_WITH(parse_run_config(text, "config.yaml"),
                    Catch::Contains("data.format") && Catch::Contains("llm.c"));
}

}  // namespace metascale
