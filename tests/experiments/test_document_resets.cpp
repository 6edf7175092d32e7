// data.reset_at_documents: documents packed into one window do not know of each other.
#include <catch2/catch.hpp>

#include "core/random.hpp"
#include "data/batches.hpp"
#include "experiments/model_evaluation.hpp"
#include "experiments/program.hpp"
#include "experiments/trainer.hpp"
#include "tests/experiments/small_model.hpp"
#include "tests/support/golden_model.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale {
namespace {

using namespace testing;

using Lengths = std::vector<std::int64_t>;  // of the documents of a window, in tokens

// Every architecture, and every way in which Meta-State reads the state.
ModelConfig any_model() {
  const auto [architecture, read_out, read_state] =
      GENERATE(table<Architecture, ReadOut, ReadState>(
          {{Architecture::transformer, ReadOut::state, ReadState::previous},
           {Architecture::transformer_pp, ReadOut::state, ReadState::previous},
           {Architecture::rwkv7, ReadOut::state, ReadState::previous},
           {Architecture::meta_state, ReadOut::state, ReadState::previous},
           {Architecture::meta_state, ReadOut::state, ReadState::current},
           {Architecture::meta_state, ReadOut::time_mix, ReadState::previous},
           {Architecture::meta_state, ReadOut::none, ReadState::previous}}));
  ModelConfig model = small_model(architecture);
  model.doubled_rate = GENERATE(false, true);
  model.read_out = read_out;
  model.read_state = read_state;
  return model;
}

struct Result {
  std::vector<double> losses, logits, gradients;
};

// Rows of documents, token for token the same whatever the lengths are; first: of the first token.
// The gradients are of a weighted sum of the losses.
class Window {
 public:
  Window(const ModelConfig& model, const Lengths& lengths, bool resets, std::int64_t first = 0,
         Recompute recompute = Recompute::none)
      : model_(model), lengths_(lengths), resets_(resets), first_(first), recompute_(recompute) {
    for (const std::int64_t length : lengths) tokens_ += length;
  }

  Result run() {
    Result result;
    const auto trained = execute(true), read = execute(false);
    for (std::int64_t i = 0; i < tokens_; ++i) result.losses.push_back(trained->loss(i));
    for (std::int64_t i = 0; i < tokens_ * model_.vocabulary; ++i)
      result.logits.push_back(read->logit(i));
    result.gradients = gradients_;
    return result;
  }

 private:
  std::unique_ptr<Program> execute(bool training) {
    ParameterList list;
    auto program = std::make_unique<Program>(
        model_,
        ProgramOptions{.rows = 1,
                       .context = tokens_,
                       .tape = {.dtype = Dtype::f64, .training = training, .recompute = recompute_},
                       .logits = !training,
                       .reset_at_documents = resets_},
        list);
    ParameterMemory memory(list, Device::cpu, Dtype::f64);
    initialise(list, memory, 7);
    const RandomStream random(3, 0);  // what starts at zero would hide what lies behind it
    double* values = memory.whole(memory.values).pointer<double>();
    for (std::int64_t i = 0; i < list.arena_elements(); ++i)
      values[i] += 0.3 * random.normal(std::uint64_t(i));
    program->allocate(Device::cpu, memory);
    fill(*program, training);
    program->poison();
    Queue queue;
    program->execute(queue);
    if (training) gradients_ = to_doubles(memory.whole(memory.gradients));
    return program;
  }

  void fill(Program& program, bool training) const {
    const auto token = [&](std::int64_t i) {
      return std::int32_t((first_ + i) * (first_ + i + 3) % 67);
    };
    std::int64_t at = 0;
    for (std::size_t document = 0; document < lengths_.size(); ++document)
      for (std::int64_t i = 0; i < lengths_[document]; ++i, ++at) {
        program.tokens()[at] = token(at);
        if (resets_) program.first_positions()[at] = std::int32_t(document);
        if (!training) continue;
        program.targets()[at] = token(at + 1);
        program.set_scale(at, 0.5 + double((first_ + at) % 3));
      }
    if (resets_) to_first_positions(1, tokens_, program.first_positions());
  }

  ModelConfig model_;
  Lengths lengths_;
  bool resets_;
  std::int64_t first_, tokens_ = 0;
  Recompute recompute_;
  std::vector<double> gradients_;
};

void append(std::vector<double>& to, const std::vector<double>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// The documents of lengths, each in a window of its own; gradients summed.
Result alone(const ModelConfig& model, const Lengths& lengths) {
  Result sum;
  std::int64_t first = 0;
  for (const std::int64_t length : lengths) {
    const Result part = Window(model, {length}, false, first).run();
    append(sum.losses, part.losses);
    append(sum.logits, part.logits);
    sum.gradients.resize(part.gradients.size(), 0.0);
    for (std::size_t i = 0; i < part.gradients.size(); ++i) sum.gradients[i] += part.gradients[i];
    first += length;
  }
  return sum;
}

RunConfig short_config(const RunsFolder& runs, const std::string& id, Architecture architecture,
                       bool resets) {
  RunConfig config = runs.config(id, architecture);
  config.training.steps = 3;
  config.data.reset_at_documents = resets;
  return config;
}

const Evaluation& final_evaluation(const Outcome& outcome) {
  REQUIRE_FALSE(outcome.log.evaluations.empty());
  REQUIRE(outcome.log.evaluations.back().is_final);
  return outcome.log.evaluations.back();
}

}  // namespace

TEST_CASE("a packed window with resets is its documents, each alone") {
  const ModelConfig model = any_model();
  const Recompute recompute = GENERATE(Recompute::none, Recompute::block);
  // Borders within and at chunks of the scan, and documents of one token.
  const Lengths lengths{5, 1, 10, 16, 3};
  CAPTURE(name_of(model.architecture), name_of(model.read_out), name_of(model.read_state));
  const Result packed = Window(model, lengths, true, 0, recompute).run();
  const Result apart = alone(model, lengths);
  CHECK(relative_error(packed.logits, apart.logits) < 1e-12);
  CHECK(relative_error(packed.losses, apart.losses) < 1e-12);
  CHECK(relative_error(packed.gradients, apart.gradients) < 1e-12);
}

TEST_CASE("a packed window without resets is not its documents alone") {
  const ModelConfig model = any_model();
  CAPTURE(name_of(model.architecture), name_of(model.read_out), name_of(model.read_state));
  const Lengths lengths{13, 16};
  const Result packed = Window(model, lengths, false).run(), apart = alone(model, lengths);
  CHECK(relative_error(packed.logits, apart.logits) > 1e-3);
  CHECK(relative_error(packed.gradients, apart.gradients) > 1e-3);
}

TEST_CASE("a window of one document is the same with resets and without, bit for bit") {
  const ModelConfig model = any_model();
  CAPTURE(name_of(model.architecture), name_of(model.read_out), name_of(model.read_state));
  const Result with = Window(model, {23}, true).run(), without = Window(model, {23}, false).run();
  CHECK(with.logits == without.logits);
  CHECK(relative_error(with.gradients, without.gradients) < 1e-12);
}

TEST_CASE("a program that carries its state on refuses resets") {
  ModelConfig model{.layers = 1, .width = 16, .vocabulary = 5, .head_size = 16, .feed_forward = 16};
  ParameterList list;
  CHECK_THROWS_WITH(
      Program(model, {.tape = {.training = false}, .carry_state = true, .reset_at_documents = true},
              list),
      Catch::Contains("generation has one document"));
}

TEST_CASE("a run with resets trains, evaluates and is evaluated again with them, and says so") {
  const Architecture architecture = GENERATE(Architecture::transformer, Architecture::meta_state);
  CAPTURE(name_of(architecture));
  const RunsFolder runs;
  const auto trained = [&](const std::string& id, bool resets) {
    const auto folder = runs.write(short_config(runs, id, architecture, resets));
    REQUIRE(train(folder, {}) == ExitCode::good);
    return outcome_of(folder);
  };
  const Outcome with = trained("with", true), without = trained("without", false);
  CHECK(with.log.steps[0].digest == without.log.steps[0].digest);  // the same tokens
  CHECK(with.log.steps.back().loss !=
        without.log.steps.back().loss);  // at first, states are not read
  for (const char* fact : {"data_order", "evaluation"}) {
    CHECK_THAT(with.log.facts.at(fact), Catch::EndsWith(", reset at documents"));
    CHECK_THAT(without.log.facts.at(fact), !Catch::Contains("reset"));
  }
  const Evaluation again =
      evaluate_model(find_model(runs.run("with")), {.data = runs.tokens("test"), .threads = 1});
  CHECK(again.nats == Approx(final_evaluation(with).nats).epsilon(1e-6));
  CHECK(again.digest == final_evaluation(with).digest);
}

TEST_CASE("a probe has no documents to reset at") {
  const RunsFolder runs;
  RunConfig config = short_config(runs, "probe", Architecture::rwkv7, true);
  config.data.train.clear();
  config.data.validation.clear();
  config.data.test.clear();
  config.data.probe.config.task = ProbeTask::parity;
  CHECK_THROWS_WITH(train(runs.write(config), {}),
                    Catch::Contains("reset_at_documents: true is for token files"));
}

}  // namespace metascale
