// Writes Megatron / GPT-NeoX .bin + .idx, version 1, byte for byte as GPT-NeoX's preprocess_data.py
// does. Memory does not grow with the data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/token_file.hpp"

namespace metascale {

class BufferedWriter;

struct TokenFileDigests {
  std::string bin_sha256, idx_sha256;
};

class TokenWriter {
 public:
  // Creates stem.bin and stem.idx beside their names. Throws Error{io}.
  TokenWriter(const std::filesystem::path& stem, TokenType type);
  ~TokenWriter();  // without finish() nothing is left behind

  // Throws Error{bad_input} for an id that the type cannot hold.
  void add_sequence(std::span<const std::int32_t> ids);
  void end_document();  // the sequences since the last call are one document
  std::int64_t tokens() const { return tokens_; }

  TokenFileDigests finish();  // completes both files; they have no name yet
  void commit();              // gives them their names, each whole or not at all

 private:
  void write_header();
  void write_pointers();

  std::unique_ptr<BufferedWriter> bin_, idx_, sizes_;
  TokenType type_;
  std::int64_t tokens_ = 0, sequences_ = 0;
  std::vector<std::int64_t> document_index_{0};  // kept while documents are not single sequences
  bool single_sequences_ = true;                 // so far document_index_ would be 0, 1, 2, ...
  std::int64_t documents_ = 0;
};

}  // namespace metascale
