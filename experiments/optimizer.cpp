#include "experiments/optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace metascale {
namespace {

Tensor flat(const Buffer& arena, std::int64_t begin, std::int64_t count, Dtype dtype) {
  return {
      .data = arena.data() + std::size_t(begin) * size_of(dtype), .shape = {count}, .dtype = dtype};
}

// Where the next tensor begins: padding, which stays zero, belongs to the tensor before it.
std::int64_t end_of(const ParameterList& list, std::size_t entry) {
  const auto& entries = list.entries();
  return entry + 1 < entries.size() ? entries[entry + 1].offset : list.arena_elements();
}

std::vector<AgeSpan> spans_of(const ParameterSpec& spec, const Births& births) {
  const auto born = births.find(spec.name);
  if (born == births.end()) return {{.count = spec.shape.size()}};
  return age_spans(spec.shape, born->second);
}

std::int64_t blocks_of(std::int64_t elements) {
  return (elements + SumOfSquares::block - 1) / SumOfSquares::block;
}

}  // namespace

Optimizer::Optimizer(Queue& queue, const OptimizerConfig& config, const ParameterList& list,
                     ParameterMemory& memory, const Births& births)
    : Optimizer(queue, config, list, memory, births, Shards(memory.elements)) {}

Optimizer::Optimizer(Queue& queue, const OptimizerConfig& config, const ParameterList& list,
                     ParameterMemory& memory, const Births& births, const Shards& shards)
    : config_(config),
      memory_(memory),
      shard_(shards.mine()),
      partials_(memory.device, std::size_t(blocks_of(memory.elements)) * sizeof(double)),
      sums_(memory.device, shard_.size() * sizeof(double)),
      host_sums_(memory.device == Device::cuda ? Buffer::pinned(sums_.bytes())
                                               : Buffer(Device::cpu, sums_.bytes())) {
  const auto whole = segments_of(list, births, shards);
  const auto segments = cut_segments(whole, {.parameters = memory.elements,
                                             .moments = shards.moment_elements(),
                                             .groups = std::int64_t(groups_.size())});
  const auto count = std::int64_t(segments.size());
  segments_ = Buffer(memory.device, segments.size() * sizeof(AdamSegment));
  if (count > 0) copy_to_device(queue, segments_.data(), segments.data(), segments_.bytes());
  adam_ = {.parameters = memory.whole(memory.values),
           .m = flat(memory.m, 0, shards.moment_elements(), memory.dtype),
           .v = flat(memory.v, 0, shards.moment_elements(), memory.dtype),
           .gradients = memory.whole(memory.gradients),
           .segments = {segments_.data(), {count, AdamSegment::words}, Dtype::i32},
           .groups = std::vector<AdamGroup>(groups_.size()),
           .beta1 = config.beta1,
           .beta2 = config.beta2,
           .epsilon = config.epsilon};
  if (memory.copies.bytes() > 0) adam_.copy = flat(memory.copies, 0, memory.elements, Dtype::bf16);
}

std::int64_t Optimizer::number_of(const Group& group) {
  const auto found = std::find(groups_.begin(), groups_.end(), group);
  if (found != groups_.end()) return found - groups_.begin();
  groups_.push_back(group);
  return std::int64_t(groups_.size()) - 1;
}

std::vector<AdamSegment> Optimizer::segments_of(const ParameterList& list, const Births& births,
                                                const Shards& shards) {
  std::vector<AdamSegment> segments;
  for (std::size_t i = 0; i < list.entries().size(); ++i) {
    const auto& entry = list.entries()[i];
    const auto spans = spans_of(entry.spec, births);
    for (const AgeSpan& span : spans) {
      const bool last = &span == &spans.back();
      const std::int64_t begin = entry.offset + span.begin;
      const std::int64_t group =
          number_of({entry.spec.rate_multiplier, entry.spec.decay, span.birth});
      for (const auto& [elements, moment] :
           shards.within({begin, last ? end_of(list, i) : begin + span.count}))
        segments.push_back({elements.begin, moment, elements.size(), group});
      newest_ = std::max(newest_, span.birth);
    }
  }
  std::sort(segments.begin(), segments.end(),
            [](const AdamSegment& a, const AdamSegment& b) { return a.moment < b.moment; });
  return segments;
}

void Optimizer::clear_gradients(Queue& queue) {
  clear(queue, memory_.gradients.data(), memory_.gradients.bytes());
}

void Optimizer::send_gradient_norm(Queue& queue) {
  for (std::size_t i = 0; i < shard_.size(); ++i) {
    const std::int64_t begin = shard_[i].elements.begin, count = shard_[i].elements.size();
    if (count == 0) continue;  // its sum stays 0
    run(queue, SumOfSquares{.sum = flat(sums_, std::int64_t(i), 1, Dtype::f64),
                            .x = flat(memory_.gradients, begin, count, memory_.dtype),
                            .partials = flat(partials_, 0, blocks_of(count), Dtype::f64)});
  }
  send_to_host(queue, host_sums_.data(), sums_.data(), sums_.bytes());
}

double Optimizer::squared_gradient_norm() const {
  const auto* sums = reinterpret_cast<const double*>(host_sums_.data());
  return std::accumulate(sums, sums + shard_.size(), 0.0);
}

AdamGroup Optimizer::at_step(const Group& group, double rate, std::int64_t step) const {
  const bool is_new = newest_ > 0 && group.birth == newest_;
  return {.rate = rate * group.rate_multiplier * (is_new ? config_.new_learning_rate : 1.0),
          .weight_decay =
              group.decay ? config_.weight_decay * (is_new ? config_.new_weight_decay : 1.0) : 0,
          .time = step - group.birth};
}

void Optimizer::update(Queue& queue, double rate, double norm, std::int64_t step) {
  adam_.gradient_scale = config_.clip > 0 ? std::min(1.0, config_.clip / (norm + 1e-6)) : 1.0;
  adam_.rounding = memory_.rounding(step, 0);
  for (std::size_t i = 0; i < groups_.size(); ++i)
    adam_.groups[i] = at_step(groups_[i], rate, step);
  run(queue, adam_);
}

}  // namespace metascale
