// How the arenas of the parameters are divided between ranks. A bucket is a stretch of the arenas
// whose gradients are complete at one point of the backward: the unit of reducing. Each rank owns
// its part of each bucket: it alone keeps the moments there and updates the parameters there
// (ZeRO-1) [Rajbhandari et al. 2020, "ZeRO", 5.1].
#pragma once

#include <cstddef>
#include <vector>

#include "core/communicator.hpp"

namespace metascale {

class Tape;
class ParameterList;

struct Bucket {
  Range elements;         // of the arenas of values and gradients
  std::size_t ready = 0;  // the operator of the tape after which its gradients are complete
};

// The arenas of `parameters` in buckets, in the order in which a backward of `tape` completes them.
// Tensors that lie side by side share a bucket until it has at least this many elements.
std::vector<Bucket> gradient_buckets(const ParameterList& parameters, const Tape& tape,
                                     std::int64_t least_elements);

class Shards {
 public:
  // A stretch that this rank owns, and where its moments begin in the arenas of moments.
  struct Piece {
    Range elements;
    std::int64_t moment = 0;
  };

  explicit Shards(std::int64_t elements) : Shards({{.elements = {0, elements}}}, 0, 1) {}
  Shards(std::vector<Bucket> buckets, int rank, int ranks);

  const std::vector<Bucket>& buckets() const { return buckets_; }
  const std::vector<Piece>& mine() const { return mine_; }  // one per bucket, in their order
  std::int64_t moment_elements() const { return moment_elements_; }  // of this rank
  // What of these elements is this rank's, in the order of buckets.
  std::vector<Piece> within(const Range& elements) const;

 private:
  std::vector<Bucket> buckets_;
  std::vector<Piece> mine_;
  std::int64_t moment_elements_ = 0;
};

}  // namespace metascale
