// Windows of domains by their shares. The documents of a domain, in the file's order, are one
// stream, cut into windows that overlap by one token; each pass over it has its own permutation.
#pragma once

#include <vector>

#include "data/sample_order.hpp"

namespace metascale {

class MixtureOrder final : public SampleOrder {
 public:
  // 12 bytes are kept for each document.
  MixtureOrder(const TokenFile& file, const Mixture& mixture, std::uint64_t seed,
               std::int64_t context);
  void runs_of(std::int64_t sample, std::vector<TokenRun>& runs) const override;
  std::vector<DrawnDomain> drawn(std::int64_t samples) const override;

 private:
  struct Stream {
    std::vector<std::uint32_t> documents;
    std::vector<std::int64_t> begins;  // of each in the stream, and the end
    std::int64_t windows = 0;
  };
  const TokenFile& file_;
  std::uint64_t seed_;
  std::int64_t context_;
  std::vector<double> shares_;
  DomainDraw draw_;
  std::vector<Stream> streams_;
};

}  // namespace metascale
