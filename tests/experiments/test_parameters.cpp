// What the models declare: how many parameters, with which initial values, in which optimizer
// groups.
#include <omp.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <set>

#include "experiments/plan.hpp"
#include "tests/support/golden_model.hpp"
#include "tests/support/values.hpp"

namespace metascale {
namespace {

using testing::largest, testing::relative_error, testing::to_doubles;

constexpr Architecture all_architectures[] = {Architecture::transformer,
                                              Architecture::transformer_pp, Architecture::rwkv7,
                                              Architecture::meta_state};

ModelConfig small_model(Architecture architecture) {
  return {.architecture = architecture,
          .layers = 3,
          .width = 64,
          .vocabulary = 96,
          .head_size = 32,
          .feed_forward = 112};
}

// Recording a model allocates nothing, so that this works for any size.
ParameterList declared(const ModelConfig& model) {
  ParameterList list;
  const Program program(model, {.rows = 1, .context = 1, .tape = {.training = false}}, list);
  return list;
}

struct Initialised {
  ParameterList list;
  ParameterMemory memory;

  explicit Initialised(const ModelConfig& model, std::uint64_t seed = 1, Dtype dtype = Dtype::f64)
      : list(declared(model)), memory(list, Device::cpu, dtype) {
    initialise(list, memory, seed);
  }
  Tensor tensor(const std::string& name) const {
    return memory.tensor(memory.values, list.find(name));
  }
  std::vector<double> values(const std::string& name) const { return to_doubles(tensor(name)); }
};

std::set<std::string> names_of(const ParameterList& list) {
  std::set<std::string> names;
  for (const auto& entry : list.entries()) names.insert(entry.spec.name);
  return names;
}

}  // namespace

TEST_CASE("parameters: initial values do not depend on the threads that the machine has") {
  ModelConfig model = small_model(Architecture::rwkv7);
  model.layers = 1, model.width = 768;  // from 512 rows on Eigen's sums would depend on them
  const ParameterList list = declared(model);
  const int before = omp_get_max_threads();
  const auto values = [&](int threads) {
    omp_set_num_threads(threads);
    std::vector<std::vector<double>> all;
    for (const auto& entry : list.entries()) all.push_back(initial_values(entry, 7));
    return all;
  };
  const auto one = values(1), four = values(4);
  omp_set_num_threads(before);
  CHECK((one == four));
}

TEST_CASE("parameters: the closed form counts what a model declares") {
  ModelConfig model =
      small_model(GENERATE(from_range(std::begin(all_architectures), std::end(all_architectures))));
  model.layers = GENERATE(1, 4);
  SECTION("by the rules") {}
  SECTION("the forms of the transformer share one count") {
    model.parallel_residual = false;
    model.rotary_fraction = 1;
  }
  SECTION("half of the heads are read") { model.rho = 0.5; }
  SECTION("the control reads the time mix") { model.read_out = ReadOut::time_mix; }
  SECTION("nothing is read") { model.read_out = ReadOut::none; }
  if (is_recurrent(model)) {
    SECTION("configured ranks") {
      model.rank_decay = 8, model.rank_rate = 12, model.rank_value = 4, model.rank_gate = 20;
    }
    SECTION("more heads than channel blocks") { model.heads = 5; }
  }
  const ParameterList list = declared(model);
  const ModelCounts counts = count_model(model, 64);
  CHECK(list.count() == counts.parameters);
  CHECK(list.non_embedding_count() == counts.non_embedding_parameters);
  CHECK(counts.parameters > 0);
}

TEST_CASE("parameters: meta_state adds to rwkv7 one vector per read head, and no matrix") {
  const ModelConfig rwkv7 = small_model(Architecture::rwkv7);
  ModelConfig meta_state = small_model(Architecture::meta_state);
  const auto [read_out, rho, heads] = GENERATE(table<ReadOut, double, std::int64_t>(
      {{ReadOut::state, 1.0, 2}, {ReadOut::state, 0.5, 1}, {ReadOut::time_mix, 1.0, 2}}));
  meta_state.read_out = read_out;
  meta_state.rho = rho;
  const ParameterList base = declared(rwkv7), grown = declared(meta_state);
  const auto known = names_of(base);
  std::set<std::string> added;
  for (const auto& entry : grown.entries()) {
    if (known.contains(entry.spec.name)) {
      CHECK(entry.spec.shape == base.find(entry.spec.name).spec.shape);
      continue;
    }
    added.insert(entry.spec.name);
    CHECK(entry.spec.shape == Shape{heads, 32});  // multiplies elementwise, channel by channel
    CHECK_FALSE(entry.spec.decay);
    CHECK(entry.spec.rate_multiplier == 1);
  }
  CHECK(added == std::set<std::string>{"blocks.0.ffn.sse_gamma", "blocks.1.ffn.sse_gamma",
                                       "blocks.2.ffn.sse_gamma"});
  CHECK(grown.count() - base.count() == 3 * heads * 32);  // L H_s N
  CHECK(grown.entries().size() == base.entries().size() + added.size());
}

TEST_CASE("parameters: a meta_state that reads nothing declares exactly rwkv7") {
  ModelConfig none = small_model(Architecture::meta_state);
  none.read_out = ReadOut::none;
  CHECK(names_of(declared(none)) == names_of(declared(small_model(Architecture::rwkv7))));
}

TEST_CASE("parameters: rwkv7 and meta_state start shared tensors with equal bits") {
  const std::uint64_t seed = GENERATE(1u, 2u);
  const Initialised base(small_model(Architecture::rwkv7), seed, Dtype::f32);
  const Initialised grown(small_model(Architecture::meta_state), seed, Dtype::f32);
  for (const auto& entry : base.list.entries()) {
    CAPTURE(entry.spec.name);
    const Tensor a = base.tensor(entry.spec.name), b = grown.tensor(entry.spec.name);
    CHECK(testing::same_bits(a, b));
  }
  for (const double gamma : grown.values("blocks.1.ffn.sse_gamma")) CHECK(gamma == 1);
}

TEST_CASE("parameters: another seed gives other random values, and the same ramps") {
  const Initialised one(small_model(Architecture::rwkv7), 1);
  const Initialised two(small_model(Architecture::rwkv7), 2);
  for (const char* random : {"emb.weight", "head.weight", "blocks.1.att.receptance.weight",
                             "blocks.1.att.w2", "blocks.2.ffn.key.weight"})
    CHECK(one.values(random) != two.values(random));
  for (const char* ramp : {"blocks.1.att.x_r", "blocks.1.att.w0", "blocks.2.att.k_k"})
    CHECK(one.values(ramp) == two.values(ramp));
}

TEST_CASE("parameters: tensors with different names start differently") {
  const Initialised model(small_model(Architecture::rwkv7));
  CHECK(model.values("blocks.0.att.receptance.weight") !=
        model.values("blocks.1.att.receptance.weight"));
  CHECK(model.values("blocks.0.att.receptance.weight") !=
        model.values("blocks.0.att.value.weight"));
}

TEST_CASE("parameters: decay falls on matrices, and twice the rate on w0 alone") {
  const ParameterList list = declared(small_model(
      GENERATE(from_range(std::begin(all_architectures), std::end(all_architectures)))));
  int embeddings = 0;
  for (const auto& [spec, offset] : list.entries()) {
    CAPTURE(spec.name);
    CHECK(spec.decay == (spec.shape.rank == 2 && spec.name.ends_with(".weight")));
    CHECK(spec.rate_multiplier == (spec.name.ends_with("att.w0") ? 2 : 1));
    CHECK(offset % 16 == 0);
    embeddings += spec.embedding;
    if (spec.embedding) CHECK(spec.shape == Shape{96, 64});
  }
  CHECK(embeddings == 2);  // embedding and head: they are not tied
}

TEST_CASE("parameters: one layer alone has no NaN") {
  ModelConfig model =
      small_model(GENERATE(from_range(std::begin(all_architectures), std::end(all_architectures))));
  model.layers = 1;
  const Initialised fresh(model);
  for (const double value : to_doubles(fresh.memory.whole(fresh.memory.values)))
    REQUIRE(std::isfinite(value));
  if (model.architecture == Architecture::rwkv7) {  // rising = 0/0 is 0: the power is 1 + 0
    CHECK(fresh.values("blocks.0.att.w0").front() == Approx(-5.5 - 2.5));
    CHECK(fresh.values("blocks.0.att.w0").back() == Approx(-5.5 + 6 + 2.5));
  }
}

// Values worked out by hand from RWKV-LM's rules for L = 3, D = A = 64, N = 32.
TEST_CASE("parameters: the vectors of the time mix follow RWKV-LM's rules") {
  const Initialised model(small_model(Architecture::rwkv7));
  const auto value = [&](const char* name, std::size_t index) { return model.values(name)[index]; };
  CHECK(value("blocks.0.att.x_r", 0) == 1);  // 1 - 0
  CHECK(value("blocks.0.att.x_r", 16) == Approx(1 - std::pow(0.25, 0.2)));
  CHECK(value("blocks.2.att.x_w", 16) == Approx(1 - std::pow(0.25, 0.3)));         // 0.9 / 3
  CHECK(value("blocks.1.att.x_v", 32) == Approx(1 - std::pow(0.5, 1.4 / 3)));      // 0.7 2/3
  CHECK(value("blocks.2.ffn.x_k", 32) == Approx(1 - std::pow(0.5, 1.0 / 81)));     // (1/3)^4
  CHECK(value("blocks.0.att.w0", 0) == Approx(-8.0));                              // -5.5 - 2.5
  CHECK(value("blocks.2.att.w0", 63) == Approx(3.0));                              // -5.5 + 6 + 2.5
  CHECK(value("blocks.2.att.w0", 31) == Approx(-3 + 6 * std::pow(31.0 / 63, 2)));  // head's end
  CHECK(value("blocks.1.att.a0", 0) == Approx(-0.19 - 0.3 - 0.2));
  CHECK(value("blocks.1.att.a0", 63) == Approx(-0.19 + 0.3 + 0.2));
  CHECK(value("blocks.1.att.v0", 0) == Approx(0.93));
  CHECK(value("blocks.1.att.v0", 63) == Approx(0.53));
  CHECK(value("blocks.1.att.k_k", 0) == Approx(0.76));
  CHECK(value("blocks.1.att.k_a", 9) == 1.02);
  CHECK(value("blocks.1.att.r_k", 9) == -0.04);
  CHECK(value("blocks.0.att.ln_x.weight", 5) == Approx(std::pow(1.0 / 3, 0.7)));
  CHECK(value("blocks.2.att.ln_x.weight", 5) == 1);
  for (const char* zero :
       {"blocks.1.att.w1", "blocks.1.att.v1", "blocks.1.att.g1", "blocks.1.att.output.weight",
        "blocks.1.ffn.value.weight", "blocks.1.att.ln_x.bias", "ln_out.bias"})
    CHECK(largest(model.values(zero)) == 0);
}

TEST_CASE("parameters: the first layer has no value residual") {
  const auto names = names_of(declared(small_model(Architecture::rwkv7)));
  for (const char* vector : {"v0", "v1", "v2"}) {
    CHECK_FALSE(names.contains(concat("blocks.0.att.", vector)));
    CHECK(names.contains(concat("blocks.1.att.", vector)));
  }
}

TEST_CASE("parameters: low-rank widths at width 1024 round 2.5 to even") {
  ModelConfig model = small_model(Architecture::rwkv7);
  model.width = 1024;
  model.head_size = 64;
  const ParameterList list = declared(model);
  CHECK(list.find("blocks.1.att.w1").spec.shape == Shape{1024, 64});  // not 96
  CHECK(list.find("blocks.1.att.a2").spec.shape == Shape{64, 1024});
  CHECK(list.find("blocks.1.att.v1").spec.shape == Shape{1024, 64});
  CHECK(list.find("blocks.1.att.g1").spec.shape == Shape{1024, 160});
}

TEST_CASE("parameters: semi-orthogonal matrices have their gain on the shorter side") {
  ModelConfig model = small_model(Architecture::rwkv7);
  const auto [name, gain] = GENERATE(table<std::string, double>(
      {{"blocks.1.att.receptance.weight", 1},            // 64 x 64
       {"blocks.1.att.key.weight", 0.1},                 // 64 x 64
       {"blocks.1.ffn.key.weight", 1},                   // 112 x 64
       {"blocks.1.att.w2", 0.1},                         // 32 x 64
       {"blocks.1.att.g2", 0.1 * std::sqrt(96.0 / 64)},  // 96 x 64: rank above A
       {"head.weight", 0.5 * std::sqrt(96.0 / 64)}}));   // 96 x 64
  model.rank_gate = 96;
  CAPTURE(name);
  const Initialised fresh(model);
  const Shape shape = fresh.tensor(name).shape;
  const auto values = fresh.values(name);
  const std::int64_t rows = shape[0], columns = shape[1], shorter = std::min(rows, columns);
  const auto at = [&](std::int64_t line, std::int64_t i) {  // line: along the longer side
    return rows < columns ? values[std::size_t(line * columns + i)]
                          : values[std::size_t(i * columns + line)];
  };
  for (std::int64_t a = 0; a < shorter; ++a)
    for (std::int64_t b = 0; b <= a; ++b) {
      double product = 0;
      for (std::int64_t i = 0; i < std::max(rows, columns); ++i) product += at(a, i) * at(b, i);
      REQUIRE(product == Approx(a == b ? gain * gain : 0).margin(1e-12 * gain * gain));
    }
  // A random one, not a permutation: all entries are of the size gain / sqrt(longer side).
  CHECK(largest(values) < 6 * gain / std::sqrt(double(std::max(rows, columns))));
}

TEST_CASE("parameters: the embedding is uniform in its small range") {
  const auto values = Initialised(small_model(Architecture::meta_state)).values("emb.weight");
  double sum = 0, squares = 0;
  for (const double value : values) sum += value, squares += value * value;
  const double count = double(values.size());  // 6144
  CHECK(largest(values) < 1e-4);
  CHECK(largest(values) > 0.99e-4);
  CHECK(std::abs(sum / count) < 4e-6);  // 5 standard errors
  CHECK(std::sqrt(squares / count) == Approx(1e-4 / std::sqrt(3.0)).epsilon(0.04));
}

TEST_CASE("parameters: transformers start by small_init and wang_init") {
  ModelConfig model = small_model(Architecture::transformer);
  const double small = std::sqrt(2.0 / (5 * 64)), wang = 2.0 / (3 * 8);
  const auto deviation = [](const std::vector<double>& values) {
    double squares = 0;
    for (const double value : values) squares += value * value;
    return std::sqrt(squares / double(values.size()));
  };
  const Initialised neox(model);
  CHECK(deviation(neox.values("embed_in.weight")) == Approx(small).epsilon(0.05));
  CHECK(deviation(neox.values("layers.1.attention.query_key_value.weight")) ==
        Approx(small).epsilon(0.05));
  CHECK(deviation(neox.values("layers.1.attention.dense.weight")) == Approx(wang).epsilon(0.05));
  CHECK(deviation(neox.values("layers.1.mlp.dense_4h_to_h.weight")) == Approx(wang).epsilon(0.05));
  CHECK(largest(neox.values("layers.1.mlp.dense_h_to_4h.bias")) == 0);
  model.architecture = Architecture::transformer_pp;
  const Initialised llama(model);
  CHECK(deviation(llama.values("model.layers.1.mlp.gate_proj.weight")) ==
        Approx(small).epsilon(0.05));
  CHECK(deviation(llama.values("model.layers.1.mlp.down_proj.weight")) ==
        Approx(wang).epsilon(0.05));
  CHECK(llama.values("model.norm.weight") == std::vector<double>(64, 1.0));
}

TEST_CASE("parameters: a name declared again must have its shape, and one not declared is named") {
  ParameterList list;
  list.declare({.name = "scale", .shape = {4}, .initial = Initial::constant(1)});
  list.declare({.name = "scale", .shape = {4}, .initial = Initial::constant(1)});
  CHECK(list.entries().size() == 1);
  CHECK_THROWS_WITH(list.declare({.name = "scale", .shape = {5}, .initial = Initial::constant(1)}),
                    "parameter scale was declared as (4) and again as (5)");
  CHECK_THROWS_WITH(list.find("scala"), Catch::Contains("scala"));
}

}  // namespace metascale
