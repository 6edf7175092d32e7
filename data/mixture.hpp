// Which share of the training windows comes from which domain.
//
//   as_stored                    as the file holds them
//   pile                         shares of The Pile, of bytes of text [Gao et al. 2020, table 1]
//   {"weights": {"Books": 3, "Essays": 1}}   shares of the tokens
//   {"epochs": {"Books": 2, "Essays": 1}}    passes over each domain, of any common length: a
//                                domain's share is its epochs times its tokens
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/token_file.hpp"

namespace metascale {

enum class MixtureKind { as_stored, pile, weights, epochs };

struct Mixture {
  MixtureKind kind = MixtureKind::as_stored;
  std::map<std::string, double> domains;  // weights or epochs; 0: left out
};

// The text of a configuration, both ways. Throws Error{usage} saying what is wrong with it.
Mixture parse_mixture(const std::string& text);
std::string to_text(const Mixture& mixture);

// Shares of the tokens by domain of the file, adding up to 1. Every domain must be named, and every
// name be a domain. Throws Error{usage}.
std::vector<double> shares_of(const Mixture& mixture, const TokenFile& file);

// From which domain a sample is drawn, and how many were drawn from it before. Samples come in
// blocks of 65,536, in each of which a domain has the same number of places, its share rounded; the
// places of a block are taken in the order of their bit-reversed number [van der Corput], with bits
// flipped by the seed and the block, so that every beginning of a block is near the shares.
class DomainDraw {
 public:
  static constexpr std::int64_t block = 1 << 16;

  // A domain whose share is above 0 has at least one place in a block.
  DomainDraw(std::uint64_t seed, const std::vector<double>& shares);

  struct Place {
    std::size_t domain;
    std::int64_t before;  // drawn from it by the samples before this one
  };
  Place of(std::int64_t sample) const;
  std::vector<std::int64_t> drawn(std::int64_t samples) const;  // by the first samples, by domain

 private:
  std::uint32_t flips(std::int64_t block_number) const;
  // Of the first `count` samples of a block, those whose place is below `end`.
  std::int64_t count_below(std::uint32_t flips, std::int64_t count, std::int64_t end) const;
  std::uint64_t seed_;
  std::vector<std::int64_t> begins_;  // of each domain's places, and the end
};

}  // namespace metascale
