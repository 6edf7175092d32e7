#include "experiments/growth.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "core/random.hpp"
#include "experiments/models/model.hpp"
#include "experiments/plan.hpp"

namespace metascale {
namespace {

struct Extents {
  std::int64_t feed_forward, heads, layers;
  LowRanks ranks;
  explicit Extents(const ModelConfig& model)
      : feed_forward(model.feed_forward),
        heads(head_count(model)),
        layers(model.layers),
        ranks(is_recurrent(model) ? low_ranks(model) : LowRanks{}) {}
};

void set_ranks(ModelConfig& model, const LowRanks& ranks) {
  model.rank_decay = ranks.decay;
  model.rank_rate = ranks.rate;
  model.rank_value = ranks.value;
  model.rank_gate = ranks.gate;
}

LowRanks difference(const LowRanks& a, const LowRanks& b) {
  return {a.decay - b.decay, a.rate - b.rate, a.value - b.value, a.gate - b.gate};
}

bool any_rank(const LowRanks& ranks, auto&& condition) {
  return condition(ranks.decay) || condition(ranks.rate) || condition(ranks.value) ||
         condition(ranks.gate);
}

// ---- what fills the new part of a tensor

enum class Fill {
  zero,
  own,    // as a model starts that has nothing but the new part
  alike,  // Gaussian with the root mean square of the parent's entries
  fan_in  // Gaussian, variance 1/D: the gate's hidden units
};

struct FillRow {
  GrowthRule rule;
  const char* names;  // part of the tensor's name
  Fill fill;
};
// The first row that fits counts. Zero factors: values, output, attention and MLP output, gamma;
// low ranks: the first factor, but the gate's second, since sigmoid(0) is not 0.
constexpr FillRow fill_rows[] = {
    {GrowthRule::parameter_tokens, ".ffn.key.weight", Fill::alike},
    {GrowthRule::parameter_tokens, ".ffn.value.weight", Fill::zero},
    {GrowthRule::parameter_tokens, ".mlp.dense_h_to_4h.weight", Fill::alike},
    {GrowthRule::parameter_tokens, ".mlp.dense_h_to_4h.bias", Fill::zero},
    {GrowthRule::parameter_tokens, ".mlp.dense_4h_to_h.weight", Fill::zero},
    {GrowthRule::parameter_tokens, ".mlp.gate_proj.weight", Fill::alike},
    {GrowthRule::parameter_tokens, ".mlp.up_proj.weight", Fill::alike},
    {GrowthRule::parameter_tokens, ".mlp.down_proj.weight", Fill::zero},
    {GrowthRule::heads, ".ffn.sse_gamma", Fill::zero},
    {GrowthRule::heads, ".att.output.weight", Fill::zero},
    {GrowthRule::heads, ".att.", Fill::own},
    {GrowthRule::heads, ".attention.query_key_value.weight", Fill::alike},
    {GrowthRule::heads, ".attention.query_key_value.bias", Fill::zero},
    {GrowthRule::heads, ".attention.dense.weight", Fill::zero},
    {GrowthRule::heads, ".self_attn.o_proj.weight", Fill::zero},
    {GrowthRule::heads, ".self_attn.", Fill::alike},
    {GrowthRule::low_ranks, ".att.g1", Fill::fan_in},
    {GrowthRule::low_ranks, ".att.g2", Fill::zero},
    {GrowthRule::low_ranks, "1", Fill::zero},
    {GrowthRule::low_ranks, "2", Fill::own},
    {GrowthRule::layers, ".attention.dense.weight", Fill::zero},
    {GrowthRule::layers, ".mlp.dense_4h_to_h.weight", Fill::zero},
    {GrowthRule::layers, ".self_attn.o_proj.weight", Fill::zero},
    {GrowthRule::layers, ".mlp.down_proj.weight", Fill::zero},
    {GrowthRule::layers, "", Fill::own}};

bool fits(const FillRow& row, const std::string& name) {
  // Low ranks: the factors' names end in their number; "blocks.1" must not count.
  return row.rule == GrowthRule::low_ranks ? name.ends_with(row.names)
                                           : name.find(row.names) != std::string::npos;
}

Fill fill_of(GrowthRule rule, const std::string& name) {
  for (const FillRow& row : fill_rows)
    if (row.rule == rule && fits(row, name)) return row.fill;
  throw Error(concat("no rule says how ", name, " grows; add a row in experiments/growth.cpp"));
}

double root_mean_square(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value * value;
  return values.empty() ? 0 : std::sqrt(sum / double(values.size()));
}

std::vector<double> gaussian(std::int64_t count, double deviation, std::uint64_t seed,
                             const std::string& name) {
  const RandomStream random(seed, stream_of(name));
  std::vector<double> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = deviation * random.normal(i);
  return values;
}

// kept with part behind it along the axis. grown: the shape of both together.
std::vector<double> joined(const std::vector<double>& kept, const std::vector<double>& part,
                           const Shape& grown, int axis, std::int64_t kept_extent) {
  std::int64_t inner = 1;
  for (int i = axis + 1; i < grown.rank; ++i) inner *= grown[i];
  const std::int64_t kept_run = kept_extent * inner, part_run = (grown[axis] - kept_extent) * inner;
  const std::int64_t outer = grown.size() / (grown[axis] * inner);
  std::vector<double> values;
  values.reserve(std::size_t(grown.size()));
  for (std::int64_t i = 0; i < outer; ++i) {
    values.insert(values.end(), kept.begin() + i * kept_run, kept.begin() + (i + 1) * kept_run);
    values.insert(values.end(), part.begin() + i * part_run, part.begin() + (i + 1) * part_run);
  }
  return values;
}

// The axis along which a tensor grew; -1: it did not.
int grown_axis(const Shape& before, const Shape& after) {
  int axis = -1;
  for (int i = 0; i < after.rank; ++i)
    if (before[i] != after[i])
      axis = axis < 0 ? i : throw Error("one rule grew a tensor along two axes");
  return axis;
}

// ---- blocks

// "blocks.3.att.w0" -> {"blocks.", 3, ".att.w0"}; block -1: no tensor of a block.
struct BlockName {
  std::string before;
  std::int64_t block = -1;
  std::string after;
};

BlockName split_name(const std::string& name) {
  for (const char* prefix : {"blocks.", "model.layers.", "layers."}) {
    if (!name.starts_with(prefix)) continue;
    BlockName split{.before = prefix};
    const char* begin = name.data() + split.before.size();
    const auto [end, error] = std::from_chars(begin, name.data() + name.size(), split.block);
    if (error == std::errc()) split.after = end;
    return split;
  }
  return {};
}

std::vector<std::int64_t> block_sources(std::int64_t layers, std::int64_t grown,
                                        const std::vector<std::int64_t>& insert_after) {
  bool good = std::int64_t(insert_after.size()) == grown - layers;
  for (std::size_t i = 0; i < insert_after.size(); ++i)
    good = good && insert_after[i] >= (i ? insert_after[i - 1] : 0) && insert_after[i] < layers;
  if (!good)
    throw Error(fmt::format("insert_after: [{}] does not say, ascending, behind which of the {} "
                            "blocks the {} new ones go; give one number below {} for each",
                            fmt::join(insert_after, ", "), layers, grown - layers, layers),
                ExitCode::usage);
  std::vector<std::int64_t> sources;
  for (std::int64_t block = 0; block < layers; ++block) {
    sources.push_back(block);
    for (const std::int64_t place : insert_after)
      if (place == block) sources.push_back(-1);
  }
  return sources;
}

std::string source_in(const GrowthStage& stage, const std::string& name) {
  if (stage.rule != GrowthRule::layers) return name;
  const BlockName split = split_name(name);
  if (split.block < 0) return name;
  const std::int64_t source = stage.sources[std::size_t(split.block)];
  return source < 0 ? "" : concat(split.before, source, split.after);
}

// A change of anything but extents is no growth.
void expect_growth(const ModelConfig& from, const ModelConfig& to) {
  ModelConfig same = to;
  const Extents old(from), now(to);
  same.feed_forward = from.feed_forward, same.heads = from.heads, same.layers = from.layers;
  same.rank_decay = from.rank_decay, same.rank_rate = from.rank_rate;
  same.rank_value = from.rank_value, same.rank_gate = from.rank_gate;
  const bool shrinks =
      now.feed_forward < old.feed_forward || now.heads < old.heads || now.layers < old.layers ||
      any_rank(difference(now.ranks, old.ranks), [](std::int64_t added) { return added < 0; });
  if (shrinks || same != from)
    throw Error(
        "a model grows in parameter tokens, heads, low ranks and layers only, and shrinks in "
        "none of them; its width, head size and options stay",
        ExitCode::usage);
}

}  // namespace

Growth::Growth(const ModelConfig& from, const ModelConfig& to,
               const std::vector<std::int64_t>& insert_after, std::uint64_t seed)
    : seed_(seed) {
  expect_growth(from, to);
  const Extents old(from), now(to);
  ModelConfig model = from;
  const auto add = [&](GrowthRule rule, auto&& set_whole, auto&& set_part) {
    GrowthStage stage{.rule = rule};
    stage.before = parameters_of(model);
    ModelConfig part = model;
    set_whole(model);
    set_part(part);
    stage.model = model;
    stage.after = parameters_of(model);
    stage.part = parameters_of(part);
    stages_.push_back(std::move(stage));
  };
  // Layers first: what else is new then starts as in a model of the new depth.
  if (now.layers > old.layers) {
    add(
        GrowthRule::layers, [&](auto& all) { all.layers = now.layers; },
        [&](auto& part) { part.layers = now.layers; });
    stages_.back().sources = block_sources(old.layers, now.layers, insert_after);
  }
  if (now.feed_forward > old.feed_forward)
    add(
        GrowthRule::parameter_tokens, [&](auto& all) { all.feed_forward = now.feed_forward; },
        [&](auto& part) { part.feed_forward = now.feed_forward - old.feed_forward; });
  if (now.heads > old.heads)
    add(
        GrowthRule::heads, [&](auto& all) { all.heads = now.heads; },
        [&](auto& part) { part.heads = now.heads - old.heads; });
  const LowRanks added = difference(now.ranks, old.ranks);
  if (any_rank(added, [](std::int64_t rank) { return rank > 0; }))
    add(
        GrowthRule::low_ranks, [&](auto& all) { set_ranks(all, now.ranks); },
        [&](auto& part) { set_ranks(part, added); });
  after_ = stages_.empty() ? parameters_of(from) : stages_.back().after;
}

std::vector<double> Growth::part_of(const GrowthStage& stage, const ParameterList::Entry& grown,
                                    int axis, const std::vector<double>& kept) const {
  const std::string& name = grown.spec.name;
  Shape shape = grown.spec.shape;
  if (axis >= 0) {
    const Shape& old = stage.before.find(source_in(stage, name)).spec.shape;
    shape.extents[std::size_t(axis)] -= old[axis];
  }
  // Of its own for each rule: two of them may fill parts of one tensor.
  const std::uint64_t seed =
      RandomStream(seed_, stream_of("growth")).bits(std::uint64_t(stage.rule));
  switch (fill_of(stage.rule, name)) {
    case Fill::zero: return std::vector<double>(std::size_t(shape.size()), 0.0);
    case Fill::alike: return gaussian(shape.size(), root_mean_square(kept), seed, name);
    case Fill::fan_in:
      return gaussian(shape.size(), 1 / std::sqrt(double(stage.model.width)), seed, name);
    case Fill::own: break;
  }
  const auto& own = stage.part.find(name);
  if (own.spec.shape != shape)
    throw Error(concat("the new part of ", name, " is ", shape,
                       ", but a model with nothing else has ", own.spec.shape));
  return initial_values(own, seed);
}

std::vector<double> Growth::elements(What what, std::size_t stages, const std::string& name,
                                     const Reader& parent) const {
  if (stages == 0) return parent(name);
  const GrowthStage& stage = stages_[stages - 1];
  const auto& grown = stage.after.find(name);
  const std::string source = source_in(stage, name);
  if (source.empty())
    return what == What::values ? part_of(stage, grown, -1, {})
                                : std::vector<double>(std::size_t(grown.spec.shape.size()), 0.0);
  std::vector<double> kept = elements(what, stages - 1, source, parent);
  const Shape& old = stage.before.find(source).spec.shape;
  if (std::int64_t(kept.size()) != old.size())
    throw Error(
        concat("the parent's ", source, " has ", kept.size(), " elements, but its shape is ", old),
        ExitCode::bad_input);
  const int axis = grown_axis(old, grown.spec.shape);
  if (axis < 0) return kept;
  std::vector<double> part(std::size_t(grown.spec.shape.size() - old.size()), 0.0);
  if (what == What::values) part = part_of(stage, grown, axis, kept);
  return joined(kept, part, grown.spec.shape, axis, old[axis]);
}

std::vector<double> Growth::values(const std::string& name, const Reader& parent) const {
  return elements(What::values, stages_.size(), name, parent);
}

std::vector<double> Growth::moments(const std::string& name, const Reader& parent) const {
  return elements(What::moments, stages_.size(), name, parent);
}

std::string Growth::source(const std::string& name) const {
  std::string source = name;
  for (auto stage = stages_.rbegin(); stage != stages_.rend() && !source.empty(); ++stage)
    source = source_in(*stage, source);
  return source;
}

}  // namespace metascale
