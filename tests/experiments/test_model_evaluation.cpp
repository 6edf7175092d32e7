// Models on disk, evaluated outside of their training, and runs with other protocols and mixtures.
#include <catch2/catch.hpp>
#include <numbers>

#include "core/domain_means.hpp"
#include "core/journal.hpp"
#include "experiments/evaluation.hpp"
#include "experiments/model_evaluation.hpp"
#include "experiments/trainer.hpp"
#include "tests/support/files.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale {
namespace {

using testing::error_of, testing::outcome_of, testing::RunsFolder;

RunConfig short_config(const RunsFolder& runs, const std::string& id) {
  RunConfig config = runs.config(id);
  config.training.steps = 6;
  config.training.schedule.warmup_steps = 1;
  return config;
}

Evaluation final_of(const std::filesystem::path& folder) {
  const RunLog log = outcome_of(folder).log;
  for (const Evaluation& row : log.evaluations)
    if (row.is_final) return row;
  FAIL("no final evaluation");
  return {};
}

TEST_CASE("a model evaluated on disk has the numbers of its run's own evaluation") {
  const RunsFolder runs;
  RunConfig config = short_config(runs, "packed");
  config.evaluation.protocol = GENERATE("packed_windows", "rolling_documents");
  const auto folder = runs.write(config);
  REQUIRE(train(folder, {}) == ExitCode::good);
  const Evaluation inside = final_of(folder);
  const Evaluation outside = evaluate_model(
      find_model(folder), {.data = runs.tokens("test"),
                           .protocol = parse_evaluation_protocol(config.evaluation.protocol),
                           .rows = 5});
  CHECK(inside.protocol == config.evaluation.protocol);
  CHECK(outside.protocol == inside.protocol);
  CHECK(outside.digest == inside.digest);
  CHECK(outside.tokens == inside.tokens);
  CHECK(outside.bytes == inside.bytes);
  CHECK(outside.nats == Approx(inside.nats).epsilon(1e-6));  // sums of f32 losses of other batches
  CHECK(outside.segments.size() == inside.segments.size());
  REQUIRE(outside.positions.size() == inside.positions.size());
  CHECK(outside.positions.back().tokens == inside.positions.back().tokens);
}

TEST_CASE(
    "an evaluation with resets at documents says so, and is not one of the same windows without") {
  const RunsFolder runs;
  RunConfig config = short_config(runs, "resets");
  config.data.reset_at_documents = true;
  const auto folder = runs.write(config);
  REQUIRE(train(folder, {}) == ExitCode::good);
  StoredModel stored = find_model(folder);
  const auto protocol =
      GENERATE(EvaluationProtocol::packed_windows, EvaluationProtocol::rolling_documents);
  const ModelEvaluationOptions options{.data = runs.tokens("test"), .protocol = protocol};
  const Evaluation with = evaluate_model(stored, options);
  stored.run.data.reset_at_documents = false;
  const Evaluation without = evaluate_model(stored, options);
  CHECK(with.protocol == name_of(protocol) + std::string(", reset at documents"));
  CHECK(without.protocol == name_of(protocol));
  CHECK(with.digest != without.digest);
  const auto bytes = make_tokenizer(config.data.tokenizer);
  const TokenFile file(runs.tokens("test"));
  CHECK(without.digest ==
        EvaluationWindows(file, *bytes, config.training.context, 0, protocol).digest());
  CHECK(final_of(folder).protocol == "packed_windows, reset at documents");
}

TEST_CASE("each window's loss is the same in batches of any size") {
  const RunsFolder runs;
  const auto folder = runs.write(short_config(runs, "run"));
  REQUIRE(train(folder, {}) == ExitCode::good);
  const StoredModel stored = find_model(folder);
  const auto nats = [&](std::int64_t rows) {
    return evaluate_model(stored, {.data = runs.tokens("validation"),
                                   .protocol = EvaluationProtocol::rolling_documents,
                                   .rows = rows})
        .nats;
  };
  CHECK(nats(1) == Approx(nats(7)).epsilon(1e-6));
}

TEST_CASE("rolling windows score every byte of every document") {
  const RunsFolder runs;
  const auto folder = runs.write(short_config(runs, "run"));
  REQUIRE(train(folder, {}) == ExitCode::good);
  const Evaluation result = evaluate_model(
      find_model(folder),
      {.data = runs.tokens("test"), .protocol = EvaluationProtocol::rolling_documents});
  const TokenFile file(runs.tokens("test"));
  CHECK(result.bytes == file.info().bytes);
  CHECK(result.tokens == file.tokens() - file.documents());
}

TEST_CASE(
    "an evaluation that is stopped ends with an error, and a file that is not there with its "
    "name") {
  const RunsFolder runs;
  const auto folder = runs.write(short_config(runs, "run"));
  REQUIRE(train(folder, {}) == ExitCode::good);
  const StoredModel stored = find_model(folder);
  error_of(ExitCode::interrupted, [&] {
    evaluate_model(stored, {.data = runs.tokens("test"), .progress = [](double) { return false; }});
  });
  CHECK_THAT(
      error_of(ExitCode::usage, [&] { evaluate_model(stored, {.data = runs.tokens("absent")}); }),
      Catch::Contains("absent"));
}

TEST_CASE("a run on a mixture says what it drew, and goes on with the same samples when stopped") {
  const RunsFolder runs;
  RunConfig config = short_config(runs, "whole");
  config.data.mixture = "{\"weights\":{\"even\":3.0,\"odd\":1.0}}";
  const auto whole = runs.write(config);
  REQUIRE(train(whole, {}) == ExitCode::good);
  config.id = "stopped";
  const auto stopped = runs.write(config);
  TrainHooks hooks;
  hooks.stop = [left = 3]() mutable { return --left <= 0 ? StopRequest::save : StopRequest::none; };
  REQUIRE(train(stopped, hooks) == ExitCode::saved);
  CHECK_THAT(outcome_of(stopped).log.facts.at("samples_drawn"),
             Catch::Contains("even 18") && Catch::Contains("odd 6"));  // of 3 steps of 8
  REQUIRE(train(stopped, {}) == ExitCode::good);
  const auto a = outcome_of(whole), b = outcome_of(stopped);
  CHECK(a.log.steps.back().digest == b.log.steps.back().digest);
  CHECK((a.weights == b.weights));
  CHECK_THAT(a.log.facts.at("samples_planned"),
             Catch::Contains("even 36") && Catch::Contains("odd 12"));  // of 6 steps of 8
  CHECK(a.log.facts.at("samples_drawn") == a.log.facts.at("samples_planned"));
  CHECK(b.log.facts.at("samples_drawn") == a.log.facts.at("samples_planned"));
  CHECK_THAT(a.log.facts.at("data_order"), Catch::Contains("weights"));
}

TEST_CASE("means over domains count each domain once, or by The Pile's weights") {
  const auto row = [](const char* name, std::int64_t bytes, double bits) {
    return DomainRow{.domain = name,
                     .tokens = bytes,
                     .bytes = bytes,
                     .nats = bits * std::numbers::ln2 * double(bytes)};
  };
  Evaluation evaluation;
  evaluation.domains = {row("Pile-CC", 900, 1.0), row("ArXiv", 100, 2.0)};
  CHECK(*domain_means(evaluation).plain == Approx(1.5));
  CHECK(*domain_means(evaluation).pile == Approx((18.11 * 1 + 8.96 * 2) / (18.11 + 8.96)));
  evaluation.domains.push_back(row("Essays", 100, 3.0));
  CHECK(*domain_means(evaluation).plain == Approx(2));
  CHECK_FALSE(domain_means(evaluation).pile);
  evaluation.domains.push_back({.domain = "unknown", .tokens = 5, .nats = 1});
  CHECK_FALSE(domain_means(evaluation).plain);
}

}  // namespace
}  // namespace metascale
