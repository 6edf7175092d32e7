// A run on a probe, from its configuration to its log.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>

#include "core/atomic_file.hpp"
#include "experiments/probe_evaluation.hpp"
#include "experiments/run_context.hpp"
#include "experiments/trainer.hpp"
#include "tests/experiments/config_refusal.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale {
namespace {

using testing::RunsFolder;

RunConfig parity_run(const RunsFolder& runs, const std::string& id) {
  RunConfig run = runs.config(id);
  run.data = {
      .name = "probes",
      .tokenizer = "none",
      .probe = {.config = {.task = ProbeTask::parity}, .test_lengths = {16}, .examples = 40}};
  run.model.vocabulary = 2;
  run.training.context = 4;
  run.evaluation.windows = 20;
  return run;
}

ProbeRow sum_of(const Evaluation& evaluation, std::int64_t length) {
  ProbeRow sum;
  for (const ProbeRow& row : evaluation.probes) {
    if (row.length != length) continue;
    sum.scored += row.scored, sum.correct += row.correct, sum.nats += row.nats;
    sum.examples = row.examples, sum.solved = row.solved;
  }
  return sum;
}

// Blocks that add nothing between an embedding and a head that are one-hot: the answer to a token
// is the id `shift` above it.
void look_up(const ModelConfig& model, RunContext& context, std::int64_t shift) {
  ParameterMemory& memory = context.memory();
  const auto values = [&](const Tensor& tensor) { return static_cast<float*>(tensor.data); };
  const auto of = [&](const char* name) {
    return values(memory.tensor(memory.values, context.parameters().find(name)));
  };
  std::fill_n(values(memory.whole(memory.values)), memory.elements, 0.0F);
  std::fill_n(of("final_layer_norm.weight"), model.width, 1.0F);
  for (std::int64_t id = 0; id < model.vocabulary; ++id) {
    of("embed_in.weight")[id * model.width + id] = 1;
    of("embed_out.weight")[(id + shift) % model.vocabulary * model.width + id] = 1;
  }
}

RunLog trained(const std::filesystem::path& folder) {
  CHECK(train(folder, {}) == ExitCode::good);
  return testing::outcome_of(folder).log;
}

}  // namespace

TEST_CASE("a probe's settings are written and read back, and texts' configurations know no probe") {
  const RunsFolder runs;
  RunConfig run = parity_run(runs, "probe");
  run.data.probe.config = {.task = ProbeTask::mqar,
                           .vocabulary = 64,
                           .pairs = 1,
                           .power = 0.1,
                           .filler = ProbeFiller::zeros};
  run.model.vocabulary = 64;
  run.model.doubled_rate = true;
  const RunConfig again = parse_run_config(to_yaml(run), "config.yaml");
  CHECK(again.data.probe == run.data.probe);
  CHECK(again.model.doubled_rate);
  CHECK(to_yaml(runs.config("text")).find("probe") == std::string::npos);
  CHECK(to_yaml(runs.config("text")).find("doubled_rate") == std::string::npos);
}

TEST_CASE(
    "a probe's unknown task, foreign parameter or length without examples is told with its place") {
  const RunsFolder runs;
  const RunConfig run = parity_run(runs, "probe");
  CHECK_THAT(testing::refusal_of(run, "task: parity", "task: partiy"),
             Catch::Contains("data.probe.task") && Catch::Contains("parity"));
  CHECK_THAT(testing::refusal_of(run, "task: parity", "task: parity, pairs: 4"),
             Catch::Contains("config.yaml:") && Catch::Contains("pairs"));
  CHECK_THAT(testing::refusal_of(run, "task: parity", "task: mqar, vocabulary: 64"),
             Catch::Contains("model.vocabulary"));
  CHECK_THAT(testing::refusal_of(run, "task: parity", "task: needle, vocabulary: 8, pairs: 2"),
             Catch::Contains("model.vocabulary"));
  RunConfig copies = run;
  copies.model.vocabulary = 27;
  CHECK_THAT(testing::refusal_of(copies, "task: parity, test_lengths: [16]",
                                 "task: copying, test_lengths: [15]"),
             Catch::Contains("data.probe") && Catch::Contains("not 15; write 16"));
  CHECK_THAT(testing::refusal_of(run, "train: \"\"", "train: x"),
             Catch::Contains("a probe makes its data itself"));
}

TEST_CASE(
    "a run on a probe logs accuracy by length and distance, and learns what two tokens tell") {
  const RunsFolder runs;
  RunConfig run = parity_run(runs, "probe");
  run.training.steps = 200;
  run.training.context = 2;
  run.evaluation.every_steps = 100;
  const RunLog log = trained(runs.write(run));
  REQUIRE(log.evaluations.size() == 2);
  const Evaluation& early = log.evaluations[0];
  CHECK(early.split == "validation");
  CHECK(sum_of(early, 2).scored ==
        20 * 2);  // evaluation.windows examples, of the trained length alone
  CHECK(sum_of(early, 16).scored == 0);
  CHECK(early.segments.empty());

  const Evaluation& test = log.evaluations[1];
  CHECK(test.split == "test");
  CHECK(test.protocol == "probe");
  const ProbeRow two = sum_of(test, 2), sixteen = sum_of(test, 16);
  CHECK(two.scored == 40 * 2);
  CHECK(two.correct == two.scored);
  CHECK(two.solved == 40);
  CHECK(two.nats == Approx(test.nats));
  CHECK(test.tokens == two.scored);
  CHECK(test.segments.size() == 40);
  CHECK(sixteen.scored == 40 * 16);
  CHECK(sixteen.examples == 40);
  CHECK(sixteen.solved < 40);  // nobody told it about the third token
  CHECK(log.steps.back().loss < 0.1);
  CHECK(log.facts.at("probe") == "task=parity");
  CHECK(log.facts.at("probe_chance") == "0.5");
  CHECK(log.facts.at("data_order") == "generated, seeds 1234 and 1");
}

TEST_CASE("a probe's run that is stopped and resumed has the bits of one that was not") {
  const RunsFolder runs;
  const auto whole = runs.write(parity_run(runs, "whole"));
  const auto parts = runs.write(parity_run(runs, "parts"));
  trained(whole);
  int asked = 0;
  TrainHooks hooks;
  hooks.stop = [&] { return ++asked == 9 ? StopRequest::save : StopRequest::none; };
  CHECK(train(parts, hooks) == ExitCode::saved);
  trained(parts);
  testing::expect_equal_bits(testing::outcome_of(whole), testing::outcome_of(parts));
}

TEST_CASE("a step's loss is the mean over the answers, and its batch depends on the run's seed") {
  const RunsFolder runs;
  RunConfig run = parity_run(runs, "recall");
  run.data.probe.config = {.task = ProbeTask::mqar, .vocabulary = 64, .pairs = 2};
  run.model.vocabulary = 64;
  run.training.context = 16;
  RunContext context(run, {});
  initialise(context.parameters(), context.memory(), 1);
  const StepRow first = context.train_step();
  CHECK(first.loss == Approx(std::log(64)).epsilon(0.05));  // not that times 2 / 16
  run.seed = 2;
  RunContext other(run, {});
  initialise(other.parameters(), other.memory(), 1);
  CHECK(other.train_step().digest != first.digest);
  const auto go_on = [] { return true; };
  CHECK(other.evaluate_split("test", true, go_on)->digest ==
        context.evaluate_split("test", true, go_on)->digest);
  CHECK(other.evaluate_split("validation", true, go_on)->digest !=
        context.evaluate_split("test", true, go_on)->digest);
}

TEST_CASE("a table of answers has 100 % by its largest logits, and one of other answers none") {
  const RunsFolder runs;
  RunConfig run = parity_run(runs, "oracle");
  run.model = runs.config("oracle", Architecture::transformer).model;
  run.data.probe.config = {.task = ProbeTask::s3};
  run.model.vocabulary = 6;
  RunContext context(run, {});
  for (const std::int64_t shift : {0, 1}) {
    look_up(run.model, context, shift);
    const auto found = context.evaluate_split("test", true, [] { return true; });
    REQUIRE(found);
    const ProbeRow& first = found->probes.front();  // the product of one element is this element
    CHECK(first.last == 0);
    CHECK(first.scored == 40);
    CHECK(first.correct == (shift == 0 ? 40 : 0));
    CHECK(first.solved == first.correct);
  }
}

TEST_CASE("a score counts a perfect oracle as 100 %, and one mistake where it was made") {
  const Probe probe({.task = ProbeTask::s3});
  const ProbeExample example = probe.example(8, 1, 0);
  ProbeAnswers oracle{std::vector<bool>(8, true), std::vector<double>(8, 0.0)};
  ProbeScore score(8);
  score.add(example, oracle);
  for (const ProbeRow& row : score.rows()) {
    CHECK(row.correct == row.scored);
    CHECK(row.solved == 1);
  }
  oracle.correct[5] = false;  // distance 5 is in the bin of 4 to 7
  oracle.nats[5] = 3;
  score.add(example, oracle);
  REQUIRE(score.rows().size() == 4);
  CHECK(score.rows()[2].correct == 4);
  CHECK(score.rows()[2].solved == 2);
  CHECK(score.rows()[3].first == 4);
  CHECK(score.rows()[3].scored == 8);
  CHECK(score.rows()[3].correct == 7);
  CHECK(score.rows()[3].nats == 3);
  CHECK(score.rows()[3].solved == 1);
  CHECK(score.rows()[3].examples == 2);
}

}  // namespace metascale
