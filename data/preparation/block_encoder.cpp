#include "data/preparation/block_encoder.hpp"

#include "data/files/parallel_tasks.hpp"

namespace metascale {
namespace {

constexpr std::size_t piece_bytes = std::size_t(1) << 18;
constexpr std::size_t group_bytes = BlockEncoder::longest_uncut;

// Bytes of the first piece: about piece_bytes, more where it cannot be cut there, 0 where that is
// too long.
std::size_t first_piece(const Tokenizer& tokenizer, std::string_view text) {
  if (text.size() <= piece_bytes) return text.size();
  for (std::size_t most = piece_bytes; most <= BlockEncoder::longest_uncut; most *= 2)
    if (const std::size_t cut = tokenizer.cut(text, most)) return cut;
  return text.size() <= BlockEncoder::longest_uncut ? text.size() : 0;
}

}  // namespace

bool BlockEncoder::can_encode(std::string_view text) const {
  while (text.size() > longest_uncut) {
    const std::size_t length = first_piece(tokenizer_, text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void BlockEncoder::encode_pieces() {
  run_tasks(threads_, 0, std::int64_t(pieces_.size()), [&](std::int64_t i) {
    Piece& piece = pieces_[std::size_t(i)];
    tokenizer_.encode(piece.text, piece.ids);
    if (piece.last) piece.ids.push_back(tokenizer_.end_of_document());
  });
}

void BlockEncoder::encode(
    std::span<const Document> documents,
    const std::function<void(const Document&, std::span<const std::int32_t>, bool)>& take) {
  std::size_t bytes = 0;
  const auto flush = [&] {
    encode_pieces();
    for (const Piece& piece : pieces_) take(*piece.document, piece.ids, piece.last);
    pieces_.clear();
    bytes = 0;
  };
  for (const Document& document : documents) {
    for (std::string_view rest = document.text; !rest.empty();) {
      const std::size_t length = first_piece(tokenizer_, rest);
      if (bytes + length > group_bytes) flush();
      pieces_.push_back({&document, rest.substr(0, length), length == rest.size(), {}});
      rest.remove_prefix(length);
      bytes += length;
    }
  }
  flush();
}

}  // namespace metascale
