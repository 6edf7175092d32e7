#include "experiments/shards.hpp"

#include <algorithm>

#include "experiments/parameters.hpp"
#include "experiments/tape.hpp"

namespace metascale {

std::vector<Bucket> gradient_buckets(const ParameterList& parameters, const Tape& tape,
                                     std::int64_t least_elements) {
  const auto ready = tape.gradients_ready();
  const auto& entries = parameters.entries();
  std::vector<Bucket> buckets;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Range elements{entries[i].offset, i + 1 < entries.size() ? entries[i + 1].offset
                                                                   : parameters.arena_elements()};
    if (buckets.empty() || buckets.back().elements.size() >= least_elements)
      buckets.push_back({.elements = {elements.begin, elements.begin}});
    Bucket& bucket = buckets.back();
    bucket.elements.end = elements.end;
    if (const auto found = ready.find(elements.begin); found != ready.end())
      bucket.ready = std::max(bucket.ready, found->second);
  }
  std::stable_sort(buckets.begin(), buckets.end(),
                   [](const Bucket& a, const Bucket& b) { return a.ready < b.ready; });
  return buckets;
}

Shards::Shards(std::vector<Bucket> buckets, int rank, int ranks) : buckets_(std::move(buckets)) {
  for (const Bucket& bucket : buckets_) {
    const Range part = part_of(bucket.elements.size(), rank, ranks);
    const std::int64_t begin = bucket.elements.begin;
    mine_.push_back({{begin + part.begin, begin + part.end}, moment_elements_});
    moment_elements_ += part.size();
  }
}

std::vector<Shards::Piece> Shards::within(const Range& elements) const {
  std::vector<Piece> found;
  for (const Piece& piece : mine_) {
    const Range both{std::max(elements.begin, piece.elements.begin),
                     std::min(elements.end, piece.elements.end)};
    if (both.size() > 0) found.push_back({both, piece.moment + both.begin - piece.elements.begin});
  }
  return found;
}

}  // namespace metascale
