// training.low_rank: joined: the first factors of the time mix as one product, the same model.
#include <catch2/catch.hpp>

#include "core/random.hpp"
#include "experiments/plan.hpp"
#include "experiments/run_programs.hpp"
#include "experiments/trainer.hpp"
#include "tests/experiments/small_model.hpp"
#include "tests/support/golden_model.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale {
namespace {

using namespace testing;

using Numbers = std::vector<double>;

constexpr std::int64_t rows = 2, context = 19;  // more than a chunk of the scan

Architecture recurrent_architecture() {
  return GENERATE(Architecture::rwkv7, Architecture::meta_state);
}

ModelConfig model_of(Architecture architecture) {
  ModelConfig model = small_model(architecture);
  model.layers = 3;
  model.rank_decay = 5;
  model.rank_rate = 3;
  model.rank_value = 7;
  model.rank_gate = 11;
  return model;
}

// What flows over from one token to the next, besides within a window.
enum class Flow { window, documents, carried };

// The model with parameters that leave nothing at its start of zero, and what it made of a window.
struct Executed {
  ParameterList list;
  Program program;
  ParameterMemory memory;

  Executed(const ModelConfig& model, LowRankForm form, Flow flow, bool training)
      : program(model,
                {.rows = rows,
                 .context = context,
                 .tape = {.dtype = Dtype::f64, .training = training, .low_rank = form},
                 .carry_state = flow == Flow::carried,
                 .logits = !training,
                 .reset_at_documents = flow == Flow::documents},
                list),
        memory(list, Device::cpu, Dtype::f64) {
    initialise(list, memory, 7);
    const RandomStream random(3, 0);
    double* values = memory.whole(memory.values).pointer<double>();
    for (std::int64_t i = 0; i < list.arena_elements(); ++i)
      values[i] += 0.3 * random.normal(std::uint64_t(i));
    program.allocate(Device::cpu, memory);
    program.poison();
    Queue queue;
    for (int window = 0; window < (flow == Flow::carried ? 2 : 1); ++window) {
      if (window > 0) program.advance_state();
      fill(flow, window);
      program.execute(queue);
    }
  }

  void fill(Flow flow, int window) {
    for (std::int64_t i = 0; i < rows * context; ++i) {
      const std::int64_t token = i + window * context;
      program.tokens()[i] = std::int32_t(token * (token + 3) % 67);
      if (flow == Flow::documents)  // of 1, 6 and 12 tokens, the last one across two chunks
        program.first_positions()[i] = i % context < 1 ? 0 : i % context < 7 ? 1 : 7;
      if (!program.options().tape.training) continue;
      program.targets()[i] = std::int32_t((token + 1) * (token + 4) % 67);
      program.set_scale(i, 0.5 + double(i % 3));
    }
  }

  Numbers logits() const {
    Numbers values;
    for (std::int64_t i = 0; i < rows * context * 67; ++i) values.push_back(program.logit(i));
    return values;
  }
  Numbers gradient(const ParameterList::Entry& entry) const {
    return to_doubles(memory.tensor(memory.gradients, entry));
  }
};

RunConfig config_of(const RunsFolder& runs, const std::string& id, LowRankForm form) {
  RunConfig config = runs.config(id, recurrent_architecture());
  config.training.low_rank = form;
  return config;
}

}  // namespace

TEST_CASE("joined first factors give the logits of separate ones, and every parameter's gradient") {
  const Architecture architecture = recurrent_architecture();
  const Flow flow = GENERATE(Flow::window, Flow::documents, Flow::carried);
  CAPTURE(name_of(architecture), int(flow));
  const ModelConfig model = model_of(architecture);
  const auto read = [&](LowRankForm form) { return Executed(model, form, flow, false).logits(); };
  CHECK(relative_error(read(LowRankForm::joined), read(LowRankForm::separate)) < 1e-12);
  const Executed joined(model, LowRankForm::joined, flow, true);
  const Executed separate(model, LowRankForm::separate, flow, true);
  for (const auto& entry : separate.list.entries()) {
    CAPTURE(entry.spec.name);
    CHECK(largest(separate.gradient(entry)) > 0);
    CHECK(relative_error(joined.gradient(entry), separate.gradient(entry)) < 1e-12);
  }
}

TEST_CASE("joined first factors change no parameter's name, shape or place") {
  const ModelConfig model = model_of(recurrent_architecture());
  const auto names = [&](LowRankForm form) {
    ParameterList list;
    const Program program(model, {.tape = {.low_rank = form}}, list);
    std::vector<std::string> entries;
    for (const auto& entry : list.entries())
      entries.push_back(concat(entry.spec.name, " ", entry.spec.shape, " at ", entry.offset));
    return entries;
  };
  CHECK(names(LowRankForm::joined) == names(LowRankForm::separate));
}

TEST_CASE("joined first factors are planned: less memory, more executed FLOPs") {
  const RunsFolder runs;
  RunConfig config = config_of(runs, "run", LowRankForm::separate);
  config.training.precision = GENERATE(Precision::f32, Precision::bf16, Precision::bf16_stored);
  config.training.recompute = GENERATE(Recompute::none, Recompute::block);
  CAPTURE(name_of(config.model.architecture), name_of(config.training.precision));
  const auto planned = [&](LowRankForm form) {
    config.training.low_rank = form;
    ParameterList list;
    const RunPrograms programs(config, 8, 1, list);
    const PlannedStep step = planned_step(config, 8);
    CHECK(step.program_bytes == programs.bytes());
    return step;
  };
  const PlannedStep separate = planned(LowRankForm::separate),
                    joined = planned(LowRankForm::joined);
  CHECK(joined.parameter_bytes == separate.parameter_bytes);
  CHECK(joined.program_bytes < separate.program_bytes);
  CHECK(joined.executed_flops_per_token > separate.executed_flops_per_token);
}

TEST_CASE(
    "a run with joined first factors trains like one with separate ones, of as many model FLOPs") {
  const RunsFolder runs;
  const auto trained = [&](const std::string& id, LowRankForm form) {
    RunConfig config = runs.config(id, Architecture::meta_state);
    config.training.low_rank = form;
    const auto folder = runs.write(config);
    REQUIRE(train(folder, {}) == ExitCode::good);
    return outcome_of(folder);
  };
  const Outcome joined = trained("joined", LowRankForm::joined),
                separate = trained("separate", LowRankForm::separate);
  CHECK(joined.log.facts.at("flops_per_token") == separate.log.facts.at("flops_per_token"));
  REQUIRE(joined.log.steps.size() == separate.log.steps.size());
  CHECK(joined.log.steps[0].digest == separate.log.steps[0].digest);
  for (std::size_t i = 0; i < joined.log.steps.size(); ++i)
    CHECK(joined.log.steps[i].loss ==
          Approx(separate.log.steps[i].loss).epsilon(i < 4 ? 1e-6 : 1e-3));
}

}  // namespace metascale
