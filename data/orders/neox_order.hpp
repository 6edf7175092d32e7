// GPT-NeoX's order of samples, as its GPT2Dataset and helpers.cpp make it: documents shuffled over
// all epochs together, cut into overlapping windows, which are shuffled again by the same
// generator.
#pragma once

#include <random>
#include <vector>

#include "data/sample_order.hpp"

namespace metascale {

// numpy's RandomState(seed).shuffle [numpy/random/mtrand.pyx, legacy-distributions.c].
class NumpyShuffle {
 public:
  explicit NumpyShuffle(std::uint64_t seed) : generator_(std::uint32_t(seed)) {}
  void shuffle(std::vector<std::uint32_t>& values);

 private:
  std::uint32_t below_or_equal(std::uint32_t most);
  std::mt19937 generator_;
};

class NeoxOrder final : public SampleOrder {
 public:
  // 4 bytes are kept for each document and epoch, 12 for each sample.
  // Of the sequences [first, end) alone, as GPT-NeoX splits one file; end < 0: to the last.
  NeoxOrder(const TokenFile& file, std::uint64_t seed, std::int64_t context, std::int64_t samples,
            std::int64_t first = 0, std::int64_t end = -1);
  void runs_of(std::int64_t sample, std::vector<TokenRun>& runs) const override;
  std::vector<DrawnDomain> drawn(std::int64_t samples) const override;

  const std::vector<std::uint32_t>& documents() const { return documents_; }  // doc_idx
  const std::vector<std::uint32_t>& samples() const { return samples_; }      // shuffle_idx

 private:
  struct Start {
    std::uint32_t position;  // in documents_
    std::int32_t offset;     // tokens
  };
  void cut_windows(std::int64_t windows);
  const TokenFile& file_;
  std::int64_t context_;
  std::vector<std::uint32_t> documents_, samples_;
  std::vector<Start> starts_;
};

}  // namespace metascale
