// Writes Megatron / GPT-NeoX .bin + .idx, version 1, byte for byte as GPT-NeoX's preprocess_data.py
// does. Memory does not grow with the data. The files stand under their names from the beginning:
// whoever writes for others writes into a folder of his own and renames.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/files/buffered_writer.hpp"
#include "data/token_file.hpp"

namespace metascale {

struct TokenFileDigests {
  std::string bin_sha256, idx_sha256;
};

// A place from which another TokenWriter can go on. Only where documents are single sequences.
struct TokenWriterMark {
  FileMark bin, sizes;
  std::int64_t tokens = 0, sequences = 0;
};

class TokenWriter {
 public:
  // Writes stem.bin and stem.idx, and stem.sizes, which only going on needs. Throws Error{io}, and
  // Error{bad_input} where the files are not those of the mark.
  TokenWriter(const std::filesystem::path& stem, TokenType type, const TokenWriterMark& from = {});

  // Part of a sequence. Throws Error{bad_input} for an id that the type cannot hold.
  void add_tokens(std::span<const std::int32_t> ids);
  void end_sequence();
  void add_sequence(std::span<const std::int32_t> ids);
  void end_document();  // the sequences since the last call are one document
  std::int64_t tokens() const { return tokens_; }

  TokenWriterMark mark();     // all so far is on disk; behind an end_document()
  TokenFileDigests finish();  // completes both files

 private:
  void write_header();
  void write_pointers();

  BufferedWriter bin_, idx_, sizes_;
  TokenType type_;
  std::int64_t tokens_ = 0, sequences_ = 0, sequence_tokens_ = 0;
  std::vector<std::int64_t> document_index_{0};  // kept while documents are not single sequences
  bool single_sequences_ = true;                 // so far document_index_ would be 0, 1, 2, ...
  std::int64_t documents_ = 0;
};

}  // namespace metascale
