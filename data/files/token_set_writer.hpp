// Writes one token file with all that stands beside it; another process can go on with it from its
// last mark.
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

struct TokenSetMark {
  TokenWriterMark tokens;
  FileMark records;
  std::vector<DomainCount> domains;
};

class TokenSetWriter {
 public:
  // Files stem.*. Throws as TokenWriter does.
  TokenSetWriter(const std::filesystem::path& stem, const Tokenizer& tokenizer,
                 const TokenSetMark& from = {});
  // A document in pieces: its ids, the last of which is its end of document, then what it is of.
  void add_tokens(std::span<const std::int32_t> ids);
  void end_document(const std::string& domain, std::int64_t bytes);  // raw UTF-8 of the text
  void add(std::span<const std::int32_t> ids, const std::string& domain, std::int64_t bytes);

  std::int64_t documents() const { return info_.documents; }
  const std::filesystem::path& stem() const { return stem_; }
  TokenSetMark mark();  // all so far is on disk
  // Completes all files.
  TokenFileInfo finish(const std::vector<SourceFile>& sources);

 private:
  std::uint16_t domain_index(const std::string& domain);
  void write_table();

  std::filesystem::path stem_;
  TokenFileInfo info_;
  TokenWriter tokens_;
  BufferedWriter records_;  // the document table without its header, which holds their number
  std::int64_t document_tokens_ = 0;  // of the document that is being added
  std::map<std::string, std::uint16_t> domains_;
};

}  // namespace metascale
