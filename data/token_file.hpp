// Token files: Megatron / GPT-NeoX .bin + .idx (MMapIndexedDataset, version 1), with .documents
// (domain and raw bytes of each document) and .json (tokenizer, counts, digests) beside them when
// this program wrote them. The reader maps the files and checks every size and offset before it
// uses it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/mapped_file.hpp"

namespace metascale {

// Codes as they stand in the .idx (6 and 7, float and double, hold no token ids and are refused);
// u32 is only in flat files.
enum class TokenType : std::uint8_t {
  u8 = 1,
  i8 = 2,
  i16 = 3,
  i32 = 4,
  i64 = 5,
  u16 = 8,
  u32 = 32
};
std::int64_t size_of(TokenType type);  // bytes
const char* name_of(TokenType type);
TokenType token_type_for(std::int64_t vocabulary);  // u16 below 65500 ids, else i32, as GPT-NeoX

// How somebody else's tokens lie in the .bin. Flat files have no index: a document ends with each
// end-of-document id, and where that is unknown, all of the file is one document.
enum class TokenLayout {
  megatron,  // beside an .idx
  llm_c,  // 256 int32 of header (magic 20240520, version 1: u16; 20240801, version 7: u32), tokens
  raw_u16,  // tokens only (nanoGPT, OLMo)
  raw_u32,
};

const char* name_of(TokenLayout layout);  // megatron, llm.c, uint16, uint32
// Throws Error{usage} naming what there is.
TokenLayout parse_token_layout(const std::string& name);

struct DomainCount {
  std::string name;
  std::int64_t documents = 0;
  std::int64_t tokens = 0;  // with the end-of-document tokens
  std::int64_t bytes = 0;   // raw UTF-8
};
struct SourceFile {
  std::string file;  // name without folder
  std::int64_t bytes = 0;
  std::string sha256;
};

// What the .json says.
struct TokenFileInfo {
  std::string tokenizer;           // name
  std::string tokenizer_identity;  // [data/tokenizer.hpp]
  std::int64_t vocabulary = 0;
  std::int32_t end_of_document = -1;
  TokenType type = TokenType::u16;
  std::int64_t tokens = 0, documents = 0, bytes = 0;
  std::vector<DomainCount> domains;
  std::vector<SourceFile> sources;
  std::string bin_sha256, idx_sha256, documents_sha256;
  std::string fingerprint;
};

class TokenFile {
 public:
  // path: with or without .bin, .idx or .json at its end. A file without .json (somebody else's)
  // has no domains and no raw bytes; vocabulary and end of document are then unknown unless given
  // here. Throws Error{bad_input} naming the file and what is wrong in it.
  struct Foreign {
    std::int64_t vocabulary = 0;
    std::int32_t end_of_document = -1;
    TokenLayout layout = TokenLayout::megatron;
  };
  explicit TokenFile(const std::filesystem::path& path);
  TokenFile(const std::filesystem::path& path, const Foreign& foreign);

  const std::filesystem::path& path() const { return path_; }  // without an extension
  bool has_info() const { return has_info_; }
  const TokenFileInfo& info() const { return info_; }
  std::int64_t tokens() const { return tokens_; }
  std::int64_t vocabulary() const { return info_.vocabulary; }            // 0: unknown
  std::int32_t end_of_document() const { return info_.end_of_document; }  // -1: unknown

  // Copies tokens [first, first + count) of the stream of all documents.
  // Throws Error{bad_input} at an id that is negative or not below the vocabulary.
  void read(std::int64_t first, std::int64_t count, std::int32_t* out) const;

  std::int64_t documents() const { return documents_; }
  std::int64_t document_of(std::int64_t token) const;  // the document that a token belongs to
  // Where a document begins in the stream; document_begin(documents()) is tokens().
  std::int64_t document_begin(std::int64_t document) const;
  std::int32_t domain_of(std::int64_t document) const;  // index into domains()
  std::int64_t bytes_of(std::int64_t document) const;   // raw UTF-8; -1: unknown
  const std::vector<std::string>& domains() const { return domains_; }

  // Size and SHA-256 of the first and last MiB of .bin and .idx: cheap, for configurations and
  // checkpoints.
  std::string fingerprint() const;

  std::int64_t sequences() const { return sequences_; }
  // Where a sequence begins in the stream; sequence_begin(sequences()) is tokens().
  std::int64_t sequence_begin(std::int64_t sequence) const;
  std::vector<std::int32_t> sequence(std::int64_t index) const;  // one sequence of the .idx
  std::vector<std::int64_t> stored_document_index() const;       // doc_idx as it stands in the file
  TokenType type() const { return type_; }

 private:
  void open_index();
  void open_flat(TokenLayout layout);
  void check_sequences();
  void check_document_index();
  void open_info(const Foreign& foreign);
  void find_flat_documents();
  [[noreturn]] void refuse(const char* ending, const std::string& what) const;  // Error{bad_input}
  std::int64_t stored_document(std::int64_t index) const;

  std::filesystem::path path_;
  MappedFile bin_, idx_, side_;
  TokenType type_ = TokenType::u16;
  std::int64_t width_ = 2;                 // bytes of a token
  std::int64_t header_ = 0;                // bytes of the .bin before its tokens
  bool flat_ = false;                      // no .idx
  std::vector<std::int64_t> flat_begins_;  // of a flat file's documents but the first
  std::int64_t tokens_ = 0, sequences_ = 0, stored_documents_ = 0, documents_ = 0;
  bool sequences_are_documents_ = false;  // doc_idx is trivial, or not to be trusted
  bool has_info_ = false;
  TokenFileInfo info_;
  std::vector<std::string> domains_;
};

// The path without .bin, .idx, .json or .documents.
std::filesystem::path token_file_stem(const std::filesystem::path& path);

// Hexadecimal; what TokenFile::fingerprint() gives.
std::string fingerprint_of(const MappedFile& bin, const MappedFile& idx);

// Reads and checks a .json. Throws Error{bad_input} naming file and key.
TokenFileInfo read_token_file_info(const std::filesystem::path& path);
void write_token_file_info(const std::filesystem::path& path, const TokenFileInfo& info);

}  // namespace metascale
