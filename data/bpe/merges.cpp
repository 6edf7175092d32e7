#include "data/bpe/merges.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <queue>
#include <utility>

#include "core/error.hpp"

namespace metascale {
namespace {

constexpr std::size_t longest_short_word = 48;  // bytes; above it a heap beats looking at all pairs

// A word is a chain of tokens, each at the position of its first byte.
struct Link {
  std::int32_t token;           // -1: it is part of its left neighbour
  std::int32_t previous, next;  // positions; -1: none
};

// A pair's rank above its position: small, as a word of megabytes has up to two for each byte. It
// is void once the two tokens there have another rank.
using Candidate = std::uint64_t;

}  // namespace

// Key ~0 cannot occur: ids and ranks are below 2^21, and 63 bits are used.
MergeTable::MergeTable(const std::array<std::int32_t, 256>& byte_ids,
                       const std::vector<Merge>& merges)
    : byte_ids_(byte_ids) {
  const std::size_t slots = std::bit_ceil(2 * merges.size() + 2);
  slots_.assign(slots, empty_slot);
  mask_ = slots - 1;
  shift_ = 64 - std::countr_zero(slots);
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const Merge& merge = merges[rank];
    const std::uint64_t key = std::uint64_t(merge.left) << 21 | std::uint64_t(merge.right);
    std::size_t slot = hash(key);
    while (slots_[slot] != empty_slot) slot = (slot + 1) & mask_;
    slots_[slot] = key << 21 | rank;
    results_.push_back(merge.result);
  }
}

void MergeTable::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (word.size() <= longest_short_word)
    encode_short(word, ids);
  else
    encode_long(word, ids);
}

void MergeTable::encode_short(std::string_view word, std::vector<std::int32_t>& ids) const {
  std::array<std::int32_t, longest_short_word> tokens;
  std::array<std::uint32_t, longest_short_word> ranks;  // of a token with the next one
  std::size_t count = word.size();
  for (std::size_t i = 0; i < count; ++i)
    tokens[i] = byte_ids_[static_cast<unsigned char>(word[i])];
  for (std::size_t i = 0; i + 1 < count; ++i) ranks[i] = rank_of(tokens[i], tokens[i + 1]);
  while (count > 1) {
    const auto end = ranks.begin() + std::ptrdiff_t(count - 1);
    const auto best = std::min_element(ranks.begin(), end);
    if (*best == no_rank) break;
    const auto at = std::size_t(best - ranks.begin());
    tokens[at] = results_[*best];
    std::copy(tokens.begin() + at + 2, tokens.begin() + count, tokens.begin() + at + 1);
    if (at + 2 < count) std::copy(best + 2, end, best + 1);
    --count;
    if (at + 1 < count) ranks[at] = rank_of(tokens[at], tokens[at + 1]);
    if (at > 0) ranks[at - 1] = rank_of(tokens[at - 1], tokens[at]);
  }
  ids.insert(ids.end(), tokens.begin(), tokens.begin() + std::ptrdiff_t(count));
}

void MergeTable::encode_long(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (word.size() > std::size_t(std::numeric_limits<std::int32_t>::max()))
    throw Error(concat("a word of ", word.size(), " bytes is longer than 2 GiB; cut the document"),
                ExitCode::bad_input);
  const auto count = std::int32_t(word.size());
  std::vector<Link> links(word.size());
  for (std::int32_t i = 0; i < count; ++i)
    links[i] = {byte_ids_[static_cast<unsigned char>(word[i])], i - 1, i + 1 < count ? i + 1 : -1};
  std::vector<Candidate> room;
  room.reserve(2 * word.size());  // growing would hold it twice
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue({}, std::move(room));
  const auto rank_at = [&](std::int32_t at) {  // of the token there with the next one
    if (at < 0 || links[at].token < 0 || links[at].next < 0) return no_rank;
    return rank_of(links[at].token, links[links[at].next].token);
  };
  const auto consider = [&](std::int32_t at) {
    if (const std::uint32_t rank = rank_at(at); rank != no_rank)
      queue.push(std::uint64_t(rank) << 32 | std::uint64_t(at));
  };
  for (std::int32_t i = 0; i + 1 < count; ++i) consider(i);
  while (!queue.empty()) {
    const auto rank = std::uint32_t(queue.top() >> 32);
    const auto position = std::int32_t(queue.top() & 0xffffffff);
    queue.pop();
    if (rank_at(position) != rank) continue;
    Link& link = links[position];
    Link& right = links[link.next];
    link.token = results_[rank];
    link.next = right.next;
    right.token = -1;
    if (link.next >= 0) links[link.next].previous = position;
    consider(position);
    consider(link.previous);
  }
  for (std::int32_t at = 0; at >= 0; at = links[at].next) ids.push_back(links[at].token);
}

}  // namespace metascale
