// Tokenises documents on several threads, long ones in pieces, and hands the ids on in order.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "data/document_reader.hpp"
#include "data/tokenizer.hpp"

namespace metascale {

class BlockEncoder {
 public:
  // A text is held whole by the tokenizer up to this: longer ones must have places to cut them.
  static constexpr std::size_t longest_uncut = std::size_t(4) << 20;  // bytes

  BlockEncoder(const Tokenizer& tokenizer, int threads)
      : tokenizer_(tokenizer), threads_(threads) {}

  // Whether a text can be tokenised in bounded memory: it has places to cut it close enough.
  bool can_encode(std::string_view text) const;

  // Calls take(document, ids, last) for each piece of each document in order; the last piece of a
  // document ends with its end of document. At most longest_uncut bytes of text are
  // tokenised at a time: of a long word each byte takes up to 50 of memory, three times that where
  // normalisation makes it longer.
  void encode(
      std::span<const Document> documents,
      const std::function<void(const Document&, std::span<const std::int32_t>, bool)>& take);

 private:
  struct Piece {
    const Document* document;
    std::string_view text;
    bool last;
    std::vector<std::int32_t> ids;
  };
  void encode_pieces();
  const Tokenizer& tokenizer_;
  int threads_;
  std::vector<Piece> pieces_;
};

}  // namespace metascale
