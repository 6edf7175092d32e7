#include "data/bpe/added_tokens.hpp"

#include <algorithm>

namespace metascale {

AddedTokens::AddedTokens() : nodes_(1) {}

std::uint32_t AddedTokens::child(std::uint32_t node, char byte) const {
  for (const auto& [label, next] : nodes_[node].children)
    if (label == byte) return next;
  return 0;
}

bool AddedTokens::add(std::string_view content, std::int32_t id) {
  if (nodes_.size() == 1) prefix_ = content;
  const auto both = std::mismatch(prefix_.begin(), prefix_.end(), content.begin(), content.end());
  prefix_.erase(both.first, prefix_.end());
  std::uint32_t node = 0;
  for (const char byte : content) {
    std::uint32_t next = child(node, byte);
    if (next == 0) {
      next = std::uint32_t(nodes_.size());
      nodes_[node].children.emplace_back(byte, next);
      nodes_.emplace_back();
    }
    node = next;
  }
  if (nodes_[node].id >= 0) return false;
  nodes_[node].id = id;
  return true;
}

std::optional<AddedTokens::Match> AddedTokens::match_at(std::string_view text,
                                                        std::size_t begin) const {
  std::optional<Match> longest;
  std::uint32_t node = 0;
  for (std::size_t at = begin; at < text.size(); ++at) {
    node = child(node, text[at]);
    if (node == 0) break;
    if (nodes_[node].id >= 0) longest = Match{begin, at + 1, nodes_[node].id};
  }
  return longest;
}

std::optional<AddedTokens::Match> AddedTokens::find(std::string_view text, std::size_t from) const {
  if (nodes_.size() == 1) return std::nullopt;
  for (std::size_t at = from; at < text.size(); ++at) {
    at = text.find(prefix_, at);
    if (at == std::string_view::npos) break;
    if (const std::optional<Match> match = match_at(text, at)) return match;
  }
  return std::nullopt;
}

}  // namespace metascale
