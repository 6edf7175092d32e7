#include "data/token_writer.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "core/error.hpp"

namespace metascale {
namespace {

std::filesystem::path with_ending(std::filesystem::path stem, const char* ending) {
  return stem += ending;
}

template <typename Stored>
void write_as(BufferedWriter& out, std::span<const std::int32_t> ids) {
  std::array<Stored, 1024> block;
  for (std::size_t begin = 0; begin < ids.size(); begin += block.size()) {
    const std::size_t count = std::min(block.size(), ids.size() - begin);
    for (std::size_t i = 0; i < count; ++i) {
      const std::int32_t id = ids[begin + i];
      if (id < 0 || std::int64_t(id) > std::int64_t(std::numeric_limits<Stored>::max()))
        throw Error(concat("token id ", id, " does not fit the token file's type; write it as i32"),
                    ExitCode::bad_input);
      block[i] = static_cast<Stored>(id);
    }
    out.write(block.data(), count * sizeof(Stored));
  }
}

}  // namespace

TokenWriter::TokenWriter(const std::filesystem::path& stem, TokenType type,
                         const TokenWriterMark& from)
    : bin_(with_ending(stem, ".bin"), from.bin),
      idx_(with_ending(stem, ".idx")),
      sizes_(with_ending(stem, ".sizes"), from.sizes),
      type_(type),
      tokens_(from.tokens),
      sequences_(from.sequences),
      documents_(from.sequences) {}

void TokenWriter::add_tokens(std::span<const std::int32_t> ids) {
  switch (type_) {
    case TokenType::u8: write_as<std::uint8_t>(bin_, ids); break;
    case TokenType::i8: write_as<std::int8_t>(bin_, ids); break;
    case TokenType::i16: write_as<std::int16_t>(bin_, ids); break;
    case TokenType::i32: write_as<std::int32_t>(bin_, ids); break;
    case TokenType::i64: write_as<std::int64_t>(bin_, ids); break;
    case TokenType::u16: write_as<std::uint16_t>(bin_, ids); break;
    case TokenType::u32: throw Error("a .idx does not know tokens of type u32; write them as i32");
  }
  sequence_tokens_ += std::int64_t(ids.size());
  tokens_ += std::int64_t(ids.size());
}

void TokenWriter::end_sequence() {
  if (sequence_tokens_ > std::numeric_limits<std::int32_t>::max())
    throw Error(concat("a sequence of ", sequence_tokens_, " tokens is longer than a .idx can say"),
                ExitCode::bad_input);
  sizes_.number(std::int32_t(sequence_tokens_));
  sequence_tokens_ = 0;
  ++sequences_;
}

void TokenWriter::add_sequence(std::span<const std::int32_t> ids) {
  add_tokens(ids);
  end_sequence();
}

TokenWriterMark TokenWriter::mark() {
  if (!single_sequences_ || sequence_tokens_ > 0)
    throw Error("a token file can be gone on with only where each document is one whole sequence");
  return {.bin = bin_.mark(), .sizes = sizes_.mark(), .tokens = tokens_, .sequences = sequences_};
}

void TokenWriter::end_document() {
  ++documents_;
  if (single_sequences_ && sequences_ != documents_) {  // from here on the index must be kept
    single_sequences_ = false;
    for (std::int64_t document = 1; document < documents_; ++document)
      document_index_.push_back(document);
  }
  if (!single_sequences_) document_index_.push_back(sequences_);
}

void TokenWriter::write_header() {
  idx_.write("MMIDIDX\0\0", 9);
  idx_.number(std::uint64_t(1));
  idx_.number(static_cast<std::uint8_t>(type_));
  idx_.number(std::uint64_t(sequences_));
  idx_.number(std::uint64_t(documents_) + 1);
}

// Sizes were kept in a file of their own: they come before the pointers, whose place depends on
// their number.
void TokenWriter::write_pointers() {
  constexpr std::size_t block = 65536;
  std::vector<std::int32_t> sizes(block);
  std::vector<std::int64_t> pointers(block);
  sizes_.flush();
  for (const bool as_pointers : {false, true}) {
    std::int64_t pointer = 0;
    for (std::uint64_t offset = 0;; offset += block * sizeof(std::int32_t)) {
      const std::size_t bytes =
          sizes_.file().read_some(sizes.data(), block * sizeof(std::int32_t), offset);
      const std::size_t count = bytes / sizeof(std::int32_t);
      if (count == 0) break;
      if (!as_pointers) idx_.write(sizes.data(), bytes);
      for (std::size_t i = 0; as_pointers && i < count; ++i) {
        pointers[i] = pointer;
        pointer += sizes[i] * size_of(type_);
      }
      if (as_pointers) idx_.write(pointers.data(), count * sizeof(std::int64_t));
    }
  }
}

TokenFileDigests TokenWriter::finish() {
  write_header();
  write_pointers();
  if (single_sequences_) {
    for (std::int64_t document = 0; document <= documents_; ++document) idx_.number(document);
  } else {
    idx_.write(document_index_.data(), document_index_.size() * sizeof(std::int64_t));
  }
  bin_.close();
  idx_.close();
  sizes_.close();
  return {.bin_sha256 = bin_.sha256(), .idx_sha256 = idx_.sha256()};
}

}  // namespace metascale
