// A model token by token: equal to all at once, and with the memory that it promises.
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>

#include "core/safetensors.hpp"
#include "experiments/generation.hpp"
#include "experiments/plan.hpp"
#include "experiments/sampling.hpp"
#include "tests/support/files.hpp"
#include "tests/support/golden_model.hpp"

namespace metascale {
namespace {

using testing::GoldenModel, testing::relative_error, testing::TemporaryFolder;

constexpr const char* models[] = {
    "rwkv7_tiny",       "metastate_tiny",     "metastate_current_tiny", "metastate_timemix_tiny",
    "transformer_tiny", "transformer_pp_tiny"};

LoadedModel model_of(const GoldenModel& golden, Dtype dtype = Dtype::f64) {
  LoadedModel model(golden.config, dtype);
  golden.load_parameters(model.list, model.memory);
  return model;
}

// Logits of the first row, read token by token.
std::vector<double> stepwise(Generator& generator, const GoldenModel& golden, std::int64_t begin,
                             std::int64_t end) {
  const auto tokens = golden.values("tokens");
  std::vector<double> logits;
  for (std::int64_t t = begin; t < end; ++t) {
    generator.read(std::int32_t(tokens[std::size_t(t)]));
    logits.insert(logits.end(), generator.logits().begin(), generator.logits().end());
  }
  return logits;
}

std::vector<double> rows_of(const std::vector<double>& logits, const GoldenModel& golden,
                            std::int64_t begin, std::int64_t end) {
  const auto V = std::ptrdiff_t(golden.config.vocabulary);
  return {logits.begin() + begin * V, logits.begin() + end * V};
}

TEST_CASE("token by token, every model has the logits of the whole sequence at once") {
  const auto name = GENERATE(from_range(std::begin(models), std::end(models)));
  CAPTURE(name);
  const GoldenModel golden(name);
  LoadedModel model = model_of(golden);
  Generator generator(model, 1);
  CHECK(relative_error(stepwise(generator, golden, 0, golden.context),
                       rows_of(golden.values("logits"), golden, 0, golden.context)) < 1e-9);
  CHECK(generator.position() == golden.context);
}

TEST_CASE("tokens read many at once leave what they leave one by one") {
  const auto name = GENERATE(from_range(std::begin(models), std::end(models)));
  const auto dtype = GENERATE(Dtype::f64, Dtype::f32);
  CAPTURE(name, name_of(dtype));
  const GoldenModel golden(name);
  LoadedModel model = model_of(golden, dtype);
  const auto tokens_from = [&](std::size_t seed, std::size_t count) {
    std::vector<std::int32_t> tokens(count);
    for (std::size_t i = 0; i < count; ++i)
      tokens[i] = std::int32_t((seed + i * i * 7919) % std::size_t(golden.config.vocabulary));
    return tokens;
  };
  Generator together(model, 1), single(model, 1);
  const double bound = dtype == Dtype::f64 ? 1e-12 : 1e-4;
  // Chunks that begin anywhere, with and without a rest, and over the end of a cache.
  for (const std::size_t count : {5, 128, 200, 1, 63}) {
    CAPTURE(count, single.position());
    const auto tokens = tokens_from(count, count);
    together.read(tokens);
    for (const std::int32_t token : tokens) single.read(token);
    CHECK(together.position() == single.position());
    CHECK(together.carried_bytes() == single.carried_bytes());
    CHECK(relative_error(together.logits(), single.logits()) < bound);
  }
  std::vector<std::int32_t> tokens = tokens_from(1, 64);
  tokens.back() = std::int32_t(golden.config.vocabulary);
  CHECK_THROWS_WITH(together.read(tokens), Catch::Contains("outside of the model's vocabulary"));
  CHECK(together.position() == 397);  // none of them
}

TEST_CASE("a generation that was saved and restored goes on with the same bits") {
  const auto name = GENERATE(from_range(std::begin(models), std::end(models)));
  const auto dtype = GENERATE(Dtype::f64, Dtype::f32);
  CAPTURE(name, name_of(dtype));
  const GoldenModel golden(name);
  const TemporaryFolder folder;
  LoadedModel model = model_of(golden, dtype);
  Generator first(model, 1);
  stepwise(first, golden, 0, 7);
  first.save_state(folder.path() / "state");
  Generator second(model, 1);
  second.restore_state(folder.path() / "state");
  CHECK(second.position() == 7);
  CHECK(second.logits() == first.logits());
  CHECK(stepwise(second, golden, 7, golden.context) == stepwise(first, golden, 7, golden.context));
}

TEST_CASE("the state of another model, or none, is refused") {
  const TemporaryFolder folder;
  const GoldenModel golden("rwkv7_tiny"), other("metastate_tiny");
  LoadedModel model = model_of(golden), foreign = model_of(other);
  Generator(foreign, 1).save_state(folder.path() / "foreign");
  Generator generator(model, 1);
  CHECK_THROWS_WITH(generator.restore_state(folder.path() / "foreign"),
                    Catch::Contains("the state of another model"));
  const double number = 1;
  write_safetensors(folder.path() / "plain",
                    {{.name = "logits", .dtype = StoredDtype::f64, .shape = {1}, .data = &number}},
                    {});
  CHECK_THROWS_WITH(generator.restore_state(folder.path() / "plain"),
                    Catch::Contains("no state of a generation"));
  CHECK_THROWS_WITH(generator.read(std::int32_t(golden.config.vocabulary)),
                    Catch::Contains("outside of the model's vocabulary"));
}

std::size_t state_bytes_after(Generator& generator, std::int64_t tokens) {
  while (generator.position() < tokens) generator.read(std::int32_t(generator.position() % 7));
  return generator.state_bytes();
}

TEST_CASE(
    "what a recurrent model carries stays of one size, and a Transformer's keys and values "
    "double") {
  const auto name = GENERATE(from_range(std::begin(models), std::end(models)));
  CAPTURE(name);
  const GoldenModel golden(name);
  const ModelConfig& config = golden.config;
  LoadedModel model = model_of(golden, Dtype::f32);
  Generator generator(model, 1);
  const std::size_t early = state_bytes_after(generator, 10);
  const std::size_t late = state_bytes_after(generator, 700);
  const std::size_t L = std::size_t(config.layers), D = std::size_t(config.width);
  if (is_recurrent(config)) {
    const std::size_t H = std::size_t(config.heads), N = std::size_t(config.head_size);
    CHECK(early == L * (H * N * N + 2 * D) * sizeof(float));  // [model.md 3.5]
    CHECK(late == early);
  } else {
    CHECK(early == 2 * L * D * 256 * sizeof(float));
    CHECK(late == 2 * L * D * 1024 * sizeof(float));
  }
  for (const double logit : generator.logits()) REQUIRE(std::isfinite(logit));
}

// ---- sampling

std::vector<double> shares(const Sampling& sampling, const std::vector<double>& logits, int draws) {
  std::vector<double> counts(logits.size(), 0);
  for (int draw = 0; draw < draws; ++draw)
    counts[std::size_t(sample(logits, sampling, std::uint64_t(draw)))] += 1.0 / draws;
  return counts;
}

TEST_CASE("tokens are drawn with the probabilities that the logits say") {
  const std::vector<double> logits{std::log(0.5), std::log(0.3), std::log(0.15), std::log(0.05)};
  const auto found = shares({.seed = 3}, logits, 20'000);
  for (std::size_t i = 0; i < logits.size(); ++i)
    CHECK(found[i] == Approx(std::exp(logits[i])).margin(0.012));  // three standard errors
}

TEST_CASE("temperature sharpens, and 0 takes the most likely token, the first of equals") {
  const std::vector<double> logits{0, std::log(3.0), 0};
  CHECK(shares({.temperature = 0.5}, logits, 10'000)[1] == Approx(9.0 / 11).margin(0.012));
  CHECK(sample({1, 5, 5, 2}, {.temperature = 0}, 9) == 1);
}

TEST_CASE("top_p keeps the fewest likely tokens that have it together") {
  const std::vector<double> logits{std::log(0.1), std::log(0.6), std::log(0.3)};
  const auto found = shares({.top_p = 0.7}, logits, 10'000);
  CHECK(found[0] == 0);
  CHECK(found[1] == Approx(2.0 / 3).margin(0.015));
  CHECK(shares({.top_p = 0.6}, logits, 100)[1] == Approx(1));
}

TEST_CASE("equal seeds draw equal tokens, others others") {
  const std::vector<double> logits(50, 0.0);
  std::vector<std::int32_t> drawn[3];
  for (std::uint64_t draw = 0; draw < 40; ++draw)
    for (int which = 0; which < 3; ++which)
      drawn[which].push_back(sample(logits, {.seed = which == 2 ? 8u : 7u}, draw));
  CHECK(drawn[0] == drawn[1]);
  CHECK(drawn[0] != drawn[2]);
}

TEST_CASE("no sampling is asked for, and no logits are taken, that make no sense") {
  CHECK_THROWS_WITH(sample({1, 2}, {.temperature = -1}, 0), Catch::Contains("temperature -1"));
  CHECK_THROWS_WITH(sample({1, 2}, {.top_p = 0}, 0), Catch::Contains("top_p 0"));
  CHECK_THROWS_WITH(sample({1, 2}, {.top_p = 1.5}, 0), Catch::Contains("top_p 1.5"));
  CHECK_THROWS_WITH(sample({1, NAN}, {}, 0), Catch::Contains("not finite"));
}

}  // namespace
}  // namespace metascale
