#include "experiments/growth_request.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "experiments/plan.hpp"

namespace metascale {
namespace {

std::int64_t grown_extent(const GrowthExtent& request, std::int64_t extent, const char* what) {
  if (!request.exists()) return extent;
  const double wanted =
      request.factor > 0 ? request.factor * double(extent) : double(request.extent);
  constexpr double most = 1 << 26;
  if (!(wanted >= double(extent)) || wanted > most)
    throw Error(fmt::format("{}: {:g} is no growth of {}; growth only adds: give at least {}, or a "
                            "factor such as 2x",
                            what, wanted, extent, extent),
                ExitCode::usage);
  return std::llround(wanted);
}

}  // namespace

GrowthExtent parse_growth_extent(const std::string& text, const std::string& what) {
  GrowthExtent extent;
  const bool factor = text.ends_with('x');
  const std::string digits = text.substr(0, text.size() - (factor ? 1 : 0));
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = factor || value == std::floor(value);
  if (error != std::errc() || end != digits.data() + digits.size() || !whole ||
      !(value >= 1 && value <= 1 << 26))
    throw Error(fmt::format("{}: '{}' is no growth; write a factor such as 2x, or the new number, "
                            "such as 16",
                            what, text),
                ExitCode::usage);
  if (factor)
    extent.factor = value;
  else
    extent.extent = std::int64_t(value);
  return extent;
}

bool GrowthRequest::empty() const {
  return !parameter_tokens.exists() && !heads.exists() && !low_ranks.exists() && !layers.exists();
}

ModelConfig grown_model(const ModelConfig& model, const GrowthRequest& request) {
  ModelConfig grown = model;
  grown.feed_forward =
      grown_extent(request.parameter_tokens, model.feed_forward, "parameter_tokens");
  grown.layers = grown_extent(request.layers, model.layers, "layers");
  const std::int64_t heads = grown_extent(request.heads, head_count(model), "heads");
  if (heads != head_count(model)) grown.heads = heads;
  if (request.low_ranks.exists()) {
    if (!is_recurrent(model) || request.low_ranks.extent)
      throw Error(
          "low_ranks: a factor such as 2x, for the four low-rank maps of rwkv7 or meta_state; "
          "other models have none",
          ExitCode::usage);
    const LowRanks old = low_ranks(model);
    const auto grow = [&](std::int64_t rank) {
      return grown_extent(request.low_ranks, rank, "low_ranks");
    };
    grown.rank_decay = grow(old.decay);
    grown.rank_rate = grow(old.rate);
    grown.rank_value = grow(old.value);
    grown.rank_gate = grow(old.gate);
  }
  if (grown == model)
    throw Error("nothing grows; ask for more parameter tokens, heads, layers or low ranks",
                ExitCode::usage);
  return grown;
}

std::vector<std::int64_t> even_insertion(std::int64_t layers, std::int64_t added) {
  std::vector<std::int64_t> after;
  for (std::int64_t k = 1; k <= added; ++k) after.push_back((k * layers + added - 1) / added - 1);
  return after;
}

}  // namespace metascale
