// Progressive scaling: a larger model that computes what the smaller one did, so that training goes
// on [docs/growth.md]. What is added contributes exactly 0 through one zero factor; the other
// factor is not zero, so that gradients flow. The parent's tensor is the leading block of the grown
// one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "experiments/growth_request.hpp"
#include "experiments/parameters.hpp"

namespace metascale {

enum class GrowthRule { parameter_tokens, heads, low_ranks, layers };

// One rule applied: `after` differs from `before` in one extent.
struct GrowthStage {
  GrowthRule rule;
  ModelConfig model;  // with what has grown up to here
  ParameterList before, after;
  // Of a model with nothing but the new part: where its initial values come from.
  ParameterList part;
  std::vector<std::int64_t> sources;  // layers: block of `before` that each block was; -1: new
};

class Growth {
 public:
  // The parent's elements of a tensor, row-major.
  using Reader = std::function<std::vector<double>(const std::string& name)>;

  // insert_after: a block of `from` for each new block, ascending. seed: of the new random entries.
  // Throws Error{usage} where `to` is no growth of `from`.
  Growth(const ModelConfig& from, const ModelConfig& to,
         const std::vector<std::int64_t>& insert_after, std::uint64_t seed);

  const ParameterList& parameters() const { return after_; }  // of the grown model

  // Elements of the grown tensor of this name. moments: what is new starts at 0.
  std::vector<double> values(const std::string& name, const Reader& parent) const;
  std::vector<double> moments(const std::string& name, const Reader& parent) const;

  std::string source(const std::string& name) const;  // its name in the parent; empty: it is new

 private:
  enum class What { values, moments };
  std::vector<double> elements(What what, std::size_t stages, const std::string& name,
                               const Reader& parent) const;
  std::vector<double> part_of(const GrowthStage& stage, const ParameterList::Entry& grown, int axis,
                              const std::vector<double>& kept) const;
  std::vector<GrowthStage> stages_;
  ParameterList after_;
  std::uint64_t seed_;
};

}  // namespace metascale
