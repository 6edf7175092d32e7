// Byte-pair merges: which two tokens become which, and in what order.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace metascale {

class MergeTable {
 public:
  static constexpr std::int64_t most_ids = std::int64_t(1) << 21;     // a pair and its rank
  static constexpr std::int64_t most_merges = std::int64_t(1) << 21;  // fit into 64 bits

  struct Merge {
    std::int32_t left, right, result;  // ids, below most_ids
  };
  // byte_ids: the id of each byte, -1 where it has none. merges: by rank, the first goes first; no
  // pair twice; no more than most_merges.
  MergeTable(const std::array<std::int32_t, 256>& byte_ids, const std::vector<Merge>& merges);

  // Appends the ids of a word: its bytes, of which the adjacent pair of the lowest rank, the
  // leftmost among equals, is merged until none has a rank. Bytes without an id must not be in it.
  // Throws Error{bad_input} for a word of 2 GiB.
  void encode(std::string_view word, std::vector<std::int32_t>& ids) const;

 private:
  static constexpr std::uint32_t no_rank = 0xffffffff;
  std::uint32_t rank_of(std::int32_t left, std::int32_t right) const {
    const std::uint64_t key = std::uint64_t(left) << 21 | std::uint64_t(right);
    for (std::size_t slot = hash(key);; slot = (slot + 1) & mask_) {
      const std::uint64_t entry = slots_[slot];
      if (entry == empty_slot) return no_rank;
      if (entry >> 21 == key) return std::uint32_t(entry & (most_merges - 1));
    }
  }
  std::size_t hash(std::uint64_t key) const {
    return std::size_t(key * 0x9e3779b97f4a7c15u >> shift_);
  }
  void encode_short(std::string_view word, std::vector<std::int32_t>& ids) const;
  void encode_long(std::string_view word, std::vector<std::int32_t>& ids) const;

  static constexpr std::uint64_t empty_slot = ~std::uint64_t(0);
  std::array<std::int32_t, 256> byte_ids_;
  std::vector<std::int32_t> results_;  // by rank
  std::vector<std::uint64_t> slots_;   // open addressing: left << 42 | right << 21 | rank
  std::size_t mask_ = 0;
  int shift_ = 0;
};

}  // namespace metascale
