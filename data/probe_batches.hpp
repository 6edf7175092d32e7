// Batches of a probe's examples, in the form of data/batches.hpp: a target is the answer of its
// token, of weight 1 where one is asked and 0 elsewhere.
#pragma once

#include <string>

#include "data/batches.hpp"
#include "data/probes.hpp"

namespace metascale {

// The seed of a split's examples. train differs from run to run, validation and test are the same
// for all runs of a sweep.
std::uint64_t probe_seed(const std::string& split, std::uint64_t order_seed,
                         std::uint64_t run_seed);

class ProbeBatches {
 public:
  // rows: examples of one step, over all ranks. Throws Error{usage} as Probe does.
  ProbeBatches(const ProbeConfig& config, std::int64_t length, std::int64_t rows,
               std::uint64_t seed);

  const Probe& probe() const { return probe_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t length() const { return length_; }
  std::int64_t scored() const { return rows_ * probe_.scored(length_); }  // of one step

  // Examples [first, first + batch.rows) of the whole stream; example step * rows() is a step's
  // first.
  void fill(std::int64_t first, const Batch& batch) const;
  // Of all tokens and answers of a step's examples, seeded with the digest so far: XXH3-64 of
  // little-endian int32, an answer that is not asked being -1.
  std::uint64_t digest(std::uint64_t before, std::int64_t step) const;

 private:
  Probe probe_;
  std::int64_t length_, rows_;
  std::uint64_t seed_;
};

}  // namespace metascale
