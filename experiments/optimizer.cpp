#include "experiments/optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/optimizer.hpp"

namespace metascale {
namespace {

Tensor flat(const Buffer& arena, std::int64_t begin, std::int64_t count, Dtype dtype) {
  return {
      .data = arena.data() + std::size_t(begin) * size_of(dtype), .shape = {count}, .dtype = dtype};
}

std::int64_t blocks_of(std::int64_t elements) {
  return (elements + SumOfSquares::block - 1) / SumOfSquares::block;
}

}  // namespace

Optimizer::Optimizer(const OptimizerConfig& config, const ParameterList& list,
                     ParameterMemory& memory, const Births& births)
    : Optimizer(config, list, memory, births, Shards(memory.elements)) {}

Optimizer::Optimizer(const OptimizerConfig& config, const ParameterList& list,
                     ParameterMemory& memory, const Births& births, const Shards& shards)
    : config_(config),
      memory_(memory),
      shard_(shards.mine()),
      partials_(memory.device, std::size_t(blocks_of(memory.elements)) * sizeof(double)),
      sums_(memory.device, shard_.size() * sizeof(double)),
      host_sums_(shard_.size()) {
  for (const auto& entry : list.entries()) {
    const auto born = births.find(entry.spec.name);
    const auto spans = born == births.end()
                           ? std::vector<AgeSpan>{{.count = entry.spec.shape.size()}}
                           : age_spans(entry.spec.shape, born->second);
    for (const AgeSpan& span : spans) {
      const std::int64_t begin = entry.offset + span.begin;
      for (const Shards::Piece& piece : shards.within({begin, begin + span.count}))
        parts_.push_back({entry.spec.rate_multiplier, entry.spec.decay, span.birth, piece});
      newest_ = std::max(newest_, span.birth);
    }
  }
}

void Optimizer::clear_gradients(Queue& queue) {
  clear(queue, memory_.gradients.data(), memory_.gradients.bytes());
}

double Optimizer::squared_gradient_norm(Queue& queue) {
  for (std::size_t i = 0; i < shard_.size(); ++i) {
    const std::int64_t begin = shard_[i].elements.begin, count = shard_[i].elements.size();
    if (count == 0) continue;  // its sum stays 0
    run(queue, SumOfSquares{.sum = flat(sums_, std::int64_t(i), 1, Dtype::f64),
                            .x = flat(memory_.gradients, begin, count, memory_.dtype),
                            .partials = flat(partials_, 0, blocks_of(count), Dtype::f64)});
  }
  copy_to_host(queue, host_sums_.data(), sums_.data(), sums_.bytes());  // one wait for all pieces
  return std::accumulate(host_sums_.begin(), host_sums_.end(), 0.0);
}

void Optimizer::update(Queue& queue, double rate, double norm, std::int64_t step) {
  const double clip = config_.clip > 0 ? std::min(1.0, config_.clip / (norm + 1e-6)) : 1.0;
  for (const Part& part : parts_) update(queue, part, rate, clip, step);
}

void Optimizer::update(Queue& queue, const Part& part, double rate, double clip,
                       std::int64_t step) {
  const std::int64_t begin = part.piece.elements.begin, count = part.piece.elements.size();
  const bool is_new = newest_ > 0 && part.birth == newest_;
  const bool has_copies = memory_.copies.bytes() > 0;
  run(queue,
      AdamW{.parameters = flat(memory_.values, begin, count, memory_.dtype),
            .m = flat(memory_.m, part.piece.moment, count, memory_.dtype),
            .v = flat(memory_.v, part.piece.moment, count, memory_.dtype),
            .gradients = flat(memory_.gradients, begin, count, memory_.dtype),
            .copy = has_copies ? flat(memory_.copies, begin, count, Dtype::bf16) : Tensor{},
            .rate = rate * part.rate_multiplier * (is_new ? config_.new_learning_rate : 1.0),
            .beta1 = config_.beta1,
            .beta2 = config_.beta2,
            .epsilon = config_.epsilon,
            .weight_decay =
                part.decay ? config_.weight_decay * (is_new ? config_.new_weight_decay : 1.0) : 0,
            .gradient_scale = clip,
            .time = step - part.birth,
            .rounding = memory_.rounding(step, begin)});
}

}  // namespace metascale
