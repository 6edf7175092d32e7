// Growth leaves what a model computes as it is, and lets what is new learn.
#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/random.hpp"
#include "experiments/growth.hpp"
#include "experiments/models/model.hpp"
#include "experiments/optimizer.hpp"
#include "experiments/plan.hpp"
#include "tests/support/golden_model.hpp"

namespace metascale {
namespace {

using testing::GoldenModel, testing::largest, testing::relative_error, testing::to_doubles;

constexpr const char* models[] = {
    "rwkv7_tiny",       "metastate_tiny",     "metastate_current_tiny", "metastate_timemix_tiny",
    "transformer_tiny", "transformer_pp_tiny"};

// Parameters of a golden model in f64, or of what it grew into.
struct Grown {
  ModelConfig model;
  ParameterList list;
  ParameterMemory memory;

  explicit Grown(const ModelConfig& model)
      : model(model), list(parameters_of(model)), memory(list, Device::cpu, Dtype::f64) {}

  double* values(const std::string& name) {
    return memory.tensor(memory.values, list.find(name)).pointer<double>();
  }
};

Growth::Reader reader_of(const Grown& parent, const Buffer& arena) {
  return [&](const std::string& name) {
    return to_doubles(parent.memory.tensor(arena, parent.list.find(name)));
  };
}

Grown parent_of(const GoldenModel& golden) {
  Grown parent(golden.config);
  golden.load_parameters(parent.list, parent.memory);
  return parent;
}

Growth growth_of(const ModelConfig& from, const ModelConfig& to,
                 std::vector<std::int64_t> insert_after = {}) {
  if (insert_after.empty()) insert_after = even_insertion(from.layers, to.layers - from.layers);
  return Growth(from, to, insert_after, 7);
}

Grown grow(const Grown& parent, const Growth& growth, const ModelConfig& to) {
  Grown grown(to);
  for (const auto& entry : grown.list.entries()) {
    const auto values = growth.values(entry.spec.name, reader_of(parent, parent.memory.values));
    REQUIRE(std::int64_t(values.size()) == entry.spec.shape.size());
    std::copy(values.begin(), values.end(), grown.values(entry.spec.name));
  }
  return grown;
}

Grown grow(const Grown& parent, const GrowthRequest& request) {
  const ModelConfig to = grown_model(parent.model, request);
  return grow(parent, growth_of(parent.model, to), to);
}

std::vector<double> logits_of(Grown& grown, const GoldenModel& golden) {
  Program program(grown.model,
                  {.rows = golden.rows,
                   .context = golden.context,
                   .tape = {.dtype = Dtype::f64, .training = false},
                   .logits = true},
                  grown.list);
  program.allocate(Device::cpu, grown.memory);
  golden.fill_inputs(program);
  Queue queue;
  program.execute(queue);
  std::vector<double> logits;
  for (std::int64_t i = 0; i < golden.rows * golden.context * grown.model.vocabulary; ++i)
    logits.push_back(program.logit(i));
  return logits;
}

void make_gradients(Grown& grown, const GoldenModel& golden) {
  Program program(grown.model,
                  {.rows = golden.rows, .context = golden.context, .tape = {.dtype = Dtype::f64}},
                  grown.list);
  program.allocate(Device::cpu, grown.memory);
  golden.fill_inputs(program);
  Queue queue;
  program.execute(queue);
}

std::vector<double> gradient_of(const Grown& grown, const std::string& name) {
  return to_doubles(grown.memory.tensor(grown.memory.gradients, grown.list.find(name)));
}

// The leading block of a grown tensor.
std::vector<double> leading_block(const std::vector<double>& values, const Shape& whole,
                                  const Shape& block) {
  const std::int64_t rows = whole.rank == 2 ? block[0] : 1, columns = whole[whole.rank - 1];
  std::vector<double> kept;
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column = 0; column < block[block.rank - 1]; ++column)
      kept.push_back(values[std::size_t(row * columns + column)]);
  return kept;
}

struct Case {
  const char* name;
  GrowthRequest request;
  bool recurrent_only = false;
};
const Case cases[] = {
    {"parameter tokens", {.parameter_tokens = {.factor = 2}}},
    {"heads", {.heads = {.factor = 1.5}}},
    {"layers", {.layers = {.extent = 5}}},
    {"low ranks", {.low_ranks = {.factor = 1.5}}, true},
    {"all", {.parameter_tokens = {.extent = 97}, .heads = {.factor = 2}, .layers = {.extent = 3}}},
    {"all with low ranks",
     {.parameter_tokens = {.factor = 1.5},
      .heads = {.factor = 2},
      .low_ranks = {.factor = 2},
      .layers = {.factor = 2}},
     true}};
constexpr double rounding = 1e-11;  // of the largest logit: sums in another order

TEST_CASE("a grown model has the logits of its parent, whatever grew") {
  const auto name = GENERATE(from_range(std::begin(models), std::end(models)));
  const auto which = GENERATE(range(std::size_t(0), std::size(cases)));
  CAPTURE(name, cases[which].name);
  const GoldenModel golden(name);
  if (cases[which].recurrent_only && !is_recurrent(golden.config)) return;
  Grown parent = parent_of(golden);
  Grown grown = grow(parent, cases[which].request);
  CHECK(grown.list.count() > parent.list.count());
  CHECK(relative_error(logits_of(grown, golden), logits_of(parent, golden)) < rounding);
}

TEST_CASE("a deeper model has its parent's logits bit for bit: the sums are the same") {
  const auto name = GENERATE(from_range(std::begin(models), std::end(models)));
  CAPTURE(name);
  const GoldenModel golden(name);
  Grown parent = parent_of(golden), grown = grow(parent, {.layers = {.extent = 4}});
  CHECK(logits_of(grown, golden) == logits_of(parent, golden));
}

TEST_CASE("growth upon growth leaves the logits of the first model") {
  const auto name = GENERATE(from_range(std::begin(models), std::end(models)));
  CAPTURE(name);
  const GoldenModel golden(name);
  Grown parent = parent_of(golden);
  Grown once = grow(parent, {.parameter_tokens = {.factor = 1.5}});
  Grown twice = grow(once, {.heads = {.factor = 2}, .layers = {.extent = 3}});
  Grown thrice = grow(twice, {.parameter_tokens = {.factor = 2}, .layers = {.extent = 7}});
  CHECK(relative_error(logits_of(thrice, golden), logits_of(parent, golden)) < rounding);
}

TEST_CASE("a grown model carries its state from token to token as its parent does") {
  const GoldenModel golden("metastate_tiny");
  Grown parent = parent_of(golden);
  Grown grown = grow(parent, cases[5].request);
  Program step(grown.model,
               {.rows = golden.rows,
                .context = 1,
                .tape = {.dtype = Dtype::f64, .training = false},
                .carry_state = true,
                .logits = true},
               grown.list);
  step.allocate(Device::cpu, grown.memory);
  const auto tokens = golden.values("tokens"), wanted = logits_of(parent, golden);
  const std::int64_t T = golden.context, V = golden.config.vocabulary;
  Queue queue;
  double worst = 0;
  for (std::int64_t t = 0; t < T; ++t) {
    for (std::int64_t b = 0; b < golden.rows; ++b)
      step.tokens()[b] = std::int32_t(tokens[std::size_t(b * T + t)]);
    step.execute(queue);
    for (std::int64_t v = 0; v < V; ++v)
      worst = std::max(worst, std::abs(step.logit(v) - wanted[std::size_t(t * V + v)]));
    step.advance_state();
  }
  CHECK(worst < rounding * largest(wanted));
}

TEST_CASE("the gradients of what was there stay, and the zeros that were added get theirs") {
  const auto name = GENERATE(from_range(std::begin(models), std::end(models)));
  CAPTURE(name);
  const GoldenModel golden(name);
  Grown parent = parent_of(golden);
  const ModelConfig to = grown_model(
      golden.config,
      {.parameter_tokens = {.factor = 2}, .heads = {.factor = 2}, .layers = {.extent = 3}});
  const Growth growth = growth_of(golden.config, to);
  Grown grown = grow(parent, growth, to);
  make_gradients(parent, golden);
  make_gradients(grown, golden);
  for (const auto& entry : grown.list.entries()) {
    const std::string source = growth.source(entry.spec.name);
    CAPTURE(entry.spec.name, source);
    const auto gradient = gradient_of(grown, entry.spec.name);
    if (source.empty()) continue;
    const Shape& old = parent.list.find(source).spec.shape;
    CHECK(relative_error(leading_block(gradient, entry.spec.shape, old),
                         gradient_of(parent, source)) < 1e-10);
  }
  const bool llama = golden.config.architecture == Architecture::transformer_pp;
  const std::string zero = is_recurrent(golden.config) ? "blocks.0.ffn.value.weight"
                           : llama                     ? "model.layers.0.mlp.down_proj.weight"
                                                       : "layers.0.mlp.dense_4h_to_h.weight";
  const std::string output = is_recurrent(golden.config) ? "blocks.0.att.output.weight"
                             : llama                     ? "model.layers.0.self_attn.o_proj.weight"
                                                         : "layers.0.attention.dense.weight";
  for (const std::string& name : {zero, output}) {
    CAPTURE(name);
    CHECK(grown.values(name)[grown.list.find(name).spec.shape[1] - 1] == 0);
    const auto gradient = gradient_of(grown, name);
    const std::int64_t columns = grown.list.find(name).spec.shape[1];
    CHECK(gradient[std::size_t(columns - 1)] != 0);
  }
  std::string fresh = output;  // of the new block, which stands last
  fresh.replace(fresh.find('0'), 1, "2");
  CHECK(growth.source(fresh).empty());
  CHECK(largest(to_doubles(grown.memory.tensor(grown.memory.values, grown.list.find(fresh)))) == 0);
  CHECK(largest(gradient_of(grown, fresh)) > 0);
  if (golden.config.architecture != Architecture::meta_state) return;
  const auto gamma = gradient_of(grown, "blocks.0.ffn.sse_gamma");
  CHECK(grown.values("blocks.0.ffn.sse_gamma")[gamma.size() - 1] == 0);
  CHECK(gamma.back() != 0);
}

TEST_CASE("where the zero is replaced by something small, the logits change: the check can fail") {
  const GoldenModel golden("metastate_tiny");
  Grown parent = parent_of(golden);
  const auto [name, request] = GENERATE(
      std::pair<const char*, GrowthRequest>{"blocks.1.ffn.value.weight",
                                            {.parameter_tokens = {.factor = 2}}},
      std::pair<const char*, GrowthRequest>{"blocks.1.att.output.weight", {.heads = {.extent = 4}}},
      std::pair<const char*, GrowthRequest>{"blocks.1.ffn.sse_gamma", {.heads = {.extent = 4}}});
  CAPTURE(name);
  Grown grown = grow(parent, request);
  double* values = grown.values(name);
  const RandomStream random(1, 2);
  for (std::int64_t i = 0; i < grown.list.find(name).spec.shape.size(); ++i)
    if (values[i] == 0) values[i] = 1e-3 * random.normal(std::uint64_t(i));
  CHECK(relative_error(logits_of(grown, golden), logits_of(parent, golden)) > 1e-6);
}

TEST_CASE(
    "AdamW moves what was there as if nothing had grown, and what is new as if it started now") {
  const GoldenModel golden("metastate_tiny");
  Grown parent = parent_of(golden);
  const ModelConfig to =
      grown_model(golden.config, {.parameter_tokens = {.factor = 2}, .heads = {.factor = 2}});
  const Growth growth = growth_of(golden.config, to);
  const OptimizerConfig config{.beta1 = 0.9, .beta2 = 0.99, .clip = 1e9};
  Queue queue;
  Optimizer before(queue, config, parent.list, parent.memory);
  for (std::int64_t step = 1; step <= 3; ++step) {  // moments that are not zero
    before.clear_gradients(queue);
    make_gradients(parent, golden);
    before.update(queue, 1e-3, 1, step);
  }
  Grown grown = grow(parent, growth, to);
  Births births;
  for (const auto& entry : grown.list.entries()) {
    const std::string& name = entry.spec.name;
    const Shape& old = parent.list.find(name).spec.shape;
    if (old != entry.spec.shape) births[name] = {{old, 0}, {entry.spec.shape, 3}};
    for (const auto& [to_arena, from_arena] :
         {std::pair{&grown.memory.m, &parent.memory.m}, {&grown.memory.v, &parent.memory.v}}) {
      const auto moments = growth.moments(name, reader_of(parent, *from_arena));
      std::copy(moments.begin(), moments.end(),
                grown.memory.tensor(*to_arena, entry).pointer<double>());
    }
  }
  const auto started = to_doubles(
      grown.memory.tensor(grown.memory.values, grown.list.find("blocks.1.ffn.value.weight")));
  Optimizer after(queue, config, grown.list, grown.memory, births);
  before.clear_gradients(queue);
  after.clear_gradients(queue);
  make_gradients(parent, golden);
  make_gradients(grown, golden);
  before.update(queue, 1e-3, 1, 4);
  after.update(queue, 1e-3, 1, 4);
  for (const auto& entry : grown.list.entries()) {
    CAPTURE(entry.spec.name);
    const Shape& old = parent.list.find(entry.spec.name).spec.shape;
    const auto now = to_doubles(grown.memory.tensor(grown.memory.values, entry));
    CHECK(relative_error(leading_block(now, entry.spec.shape, old),
                         to_doubles(parent.memory.tensor(
                             parent.memory.values, parent.list.find(entry.spec.name)))) < 1e-10);
  }
  // The first step of a fresh Adam is the learning rate, whatever the gradient's size.
  const auto moved = to_doubles(
      grown.memory.tensor(grown.memory.values, grown.list.find("blocks.1.ffn.value.weight")));
  const std::size_t last = std::size_t(to.feed_forward - 1);
  CHECK(started[last] == 0);
  CHECK(std::abs(moved[last]) == Approx(1e-3).epsilon(1e-4));
}

TEST_CASE("multipliers of rate and decay hold for what the last growth added, and nothing else") {
  const GoldenModel golden("rwkv7_tiny");
  Grown parent = parent_of(golden);
  Grown grown = grow(parent, {.parameter_tokens = {.factor = 2}});
  const std::string name = "blocks.1.ffn.key.weight";
  const Shape old = parent.list.find(name).spec.shape, whole = grown.list.find(name).spec.shape;
  make_gradients(grown, golden);
  const auto started = to_doubles(grown.memory.tensor(grown.memory.values, grown.list.find(name)));
  Queue queue;
  Optimizer(queue, {.new_learning_rate = 0.0}, grown.list, grown.memory,
            {{name, {{old, 0}, {whole, 5}}}})
      .update(queue, 1e-3, 1, 6);
  const auto moved = to_doubles(grown.memory.tensor(grown.memory.values, grown.list.find(name)));
  const std::size_t kept = std::size_t(old.size());
  CHECK(std::vector(moved.begin() + std::ptrdiff_t(kept), moved.end()) ==
        std::vector(started.begin() + std::ptrdiff_t(kept), started.end()));
  CHECK(moved[0] != started[0]);
}

// ---- the reference

ModelConfig reference_config(const Hdf5Reader& file, const std::string& group) {
  const auto json = nlohmann::json::parse(file.attribute_string(group, "config"));
  ModelConfig config{.architecture = Architecture::meta_state};
  config.layers = json.at("L"), config.width = json.at("D"), config.vocabulary = json.at("V");
  config.head_size = json.at("N"), config.heads = json.at("H"), config.feed_forward = json.at("P");
  config.rank_decay = json.at("ranks").at("w"), config.rank_rate = json.at("ranks").at("a");
  config.rank_value = json.at("ranks").at("v"), config.rank_gate = json.at("ranks").at("g");
  return config;
}

TEST_CASE("growth does to a model what the reference does: kept entries, zeros, ramps and logits") {
  const Hdf5Reader file(std::string(METASCALE_GOLDEN) + "/model/growth.h5");
  const ModelConfig from = reference_config(file, "before"), to = reference_config(file, "after");
  const Growth growth(from, to, {0}, 3);  // the reference put its block behind block 0
  const auto read = [&](const std::string& name) {
    return file.read_array("before/params/" + name).values;
  };
  Grown grown(to);
  for (const auto& entry : grown.list.entries()) {
    const std::string& name = entry.spec.name;
    CAPTURE(name);
    const auto wanted = file.read_array("after/params/" + name).values;
    const auto found = growth.values(name, read);
    REQUIRE(found.size() == wanted.size());
    std::copy(found.begin(), found.end(), grown.values(name));
    const std::string source = growth.source(name);
    if (!source.empty()) {
      const Shape old = parameters_of(from).find(source).spec.shape;
      CHECK(leading_block(found, entry.spec.shape, old) ==
            leading_block(wanted, entry.spec.shape, old));
    }
    // What is not random is the same everywhere; the reference keeps bf16-representable values.
    for (const char* exact :
         {"att.output.weight", "ffn.value.weight", "sse_gamma", "w0", "a0", "v0", "k_k", "k_a",
          "r_k", "ln_x.weight", "ln_x.bias", "ln1.weight", "x_k"})
      if (name.ends_with(std::string(".") + exact)) CHECK(relative_error(found, wanted) < 0.005);
  }
  const auto shape = file.extents("tokens");
  const std::int64_t rows = shape[0], context = shape[1];
  Program program(to,
                  {.rows = rows,
                   .context = context,
                   .tape = {.dtype = Dtype::f64, .training = false},
                   .logits = true},
                  grown.list);
  program.allocate(Device::cpu, grown.memory);
  const auto tokens = file.read_array("tokens").values;
  for (std::size_t i = 0; i < tokens.size(); ++i) program.tokens()[i] = std::int32_t(tokens[i]);
  Queue queue;
  program.execute(queue);
  const auto wanted = file.read_array("after/logits").values;
  CHECK(file.read_array("before/logits").values == wanted);
  std::vector<double> found;
  for (std::size_t i = 0; i < wanted.size(); ++i) found.push_back(program.logit(std::int64_t(i)));
  CHECK(relative_error(found, wanted) < 1e-9);
}

}  // namespace
}  // namespace metascale
