#include "data/probe_batches.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/random.hpp"

namespace metascale {

std::uint64_t probe_seed(const std::string& split, std::uint64_t order_seed,
                         std::uint64_t run_seed) {
  const std::uint64_t seed = mix_seeds(order_seed, stream_of("probe " + split));
  return split == "train" ? mix_seeds(seed, run_seed) : seed;
}

ProbeBatches::ProbeBatches(const ProbeConfig& config, std::int64_t length, std::int64_t rows,
                           std::uint64_t seed)
    : probe_(config), length_(length), rows_(rows), seed_(seed) {
  probe_.check_length(length);
  if (rows < 1) throw Error(concat("a batch needs at least one example, not ", rows));
}

void ProbeBatches::fill(std::int64_t first, const Batch& batch) const {
  if (first < 0 || batch.context != length_)
    throw Error(concat("examples of ", length_, " tokens from number ", first,
                       " on were asked for, with memory for ", batch.context));
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    const ProbeExample example = probe_.example(length_, seed_, std::uint64_t(first + row));
    const std::int64_t begin = row * length_;
    if (batch.tokens) std::copy(example.tokens.begin(), example.tokens.end(), batch.tokens + begin);
    for (std::int64_t t = 0; t < length_; ++t) {
      const std::int32_t answer = example.answers[std::size_t(t)];
      if (batch.targets) batch.targets[begin + t] = std::max(answer, 0);
      if (batch.weights) batch.weights[begin + t] = answer < 0 ? 0.0f : 1.0f;
      if (batch.segment_ids) batch.segment_ids[begin + t] = 0;
    }
  }
}

std::uint64_t ProbeBatches::digest(std::uint64_t before, std::int64_t step) const {
  for (std::int64_t row = 0; row < rows_; ++row) {
    const ProbeExample example = probe_.example(length_, seed_, std::uint64_t(step * rows_ + row));
    for (const auto* ids : {&example.tokens, &example.answers})
      before = xxh3_64(ids->data(), ids->size() * sizeof(std::int32_t), before);
  }
  return before;
}

}  // namespace metascale
