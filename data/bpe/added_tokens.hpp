// Finds added tokens in text: the leftmost, and there the longest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace metascale {

class AddedTokens {
 public:
  AddedTokens();
  // content: not empty. Returns false where it was added before.
  bool add(std::string_view content, std::int32_t id);

  struct Match {
    std::size_t begin, end;  // bytes of the text
    std::int32_t id;
  };
  // The first match at or behind from.
  std::optional<Match> find(std::string_view text, std::size_t from) const;

  // Calls on_text(piece) and on_token(id) in the order of the text. No piece is empty.
  template <typename OnText, typename OnToken>
  void split(std::string_view text, OnText&& on_text, OnToken&& on_token) const {
    std::size_t at = 0;
    while (const std::optional<Match> match = find(text, at)) {
      if (match->begin > at) on_text(text.substr(at, match->begin - at));
      on_token(match->id);
      at = match->end;
    }
    if (at < text.size()) on_text(text.substr(at));
  }

 private:
  struct Node {  // of a tree of bytes
    std::int32_t id = -1;
    std::vector<std::pair<char, std::uint32_t>> children;
  };
  std::optional<Match> match_at(std::string_view text, std::size_t begin) const;
  std::uint32_t child(std::uint32_t node, char byte) const;  // 0: there is none

  std::vector<Node> nodes_;
  std::string prefix_;  // common to all: what is searched for first
};

}  // namespace metascale
