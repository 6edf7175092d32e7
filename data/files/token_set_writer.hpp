// Writes one token file with all that stands beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "data/files/buffered_writer.hpp"
#include "data/token_writer.hpp"
#include "data/tokenizer.hpp"

namespace metascale {

class TokenSetWriter {
 public:
  TokenSetWriter(const std::filesystem::path& stem, const Tokenizer& tokenizer);
  // ids with their end of document; bytes: raw UTF-8 of the text.
  void add(std::span<const std::int32_t> ids, const std::string& domain, std::int64_t bytes);
  std::int64_t documents() const { return info_.documents; }
  const std::filesystem::path& stem() const { return stem_; }
  // Completes all files and gives them their names.
  TokenFileInfo commit(const std::vector<SourceFile>& sources);

 private:
  std::uint16_t domain_index(const std::string& domain);
  void write_table_header();

  std::filesystem::path stem_;
  TokenFileInfo info_;
  TokenWriter tokens_;
  BufferedWriter records_, table_;  // records wait for the header, which holds their number
  std::map<std::string, std::uint16_t> domains_;
};

}  // namespace metascale
