#include "experiments/optimizer.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/optimizer.hpp"

namespace metascale {
namespace {

Tensor flat(const Buffer& arena, std::int64_t begin, std::int64_t count, Dtype dtype) {
  return {.data = arena.data() + std::size_t(begin) * size_of(dtype), .shape = {count}, .dtype = dtype};
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
      sum_(memory.device, sizeof(double)) {
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
  const Tensor sum{.data = sum_.data(), .shape = {1}, .dtype = Dtype::f64};
  double total = 0;
  for (const Shards::Piece& piece : shard_) {
    if (piece.elements.size() == 0) continue;
    const std::int64_t begin = piece.elements.begin, count = piece.elements.size();
    run(queue, SumOfSquares{.sum = sum,
                            .x = flat(memory_.gradients, begin, count, memory_.dtype),
                            .partials = flat(partials_, 0, blocks_of(count), Dtype::f64)});
    double squares = 0;
    copy_to_host(queue, &squares, sum_.data(), sizeof squares);
    total += squares;
  }
  return total;
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
            .time = step - part.birth});
}

}  // namespace metascale
