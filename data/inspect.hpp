// Looks into token files: what they hold, and whether all of it is as it was written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/token_file.hpp"

namespace metascale {

struct LengthBin {  // documents of least..most tokens, their end included
  std::int64_t least = 0, most = 0;
  std::int64_t documents = 0;
};
struct DocumentSample {
  std::int64_t document = 0;
  std::string domain;
  std::int64_t tokens = 0;
  std::string text;  // its beginning, valid UTF-8
};
struct Inspection {
  TokenFileInfo info;  // empty where there is no .json
  bool has_info = false;
  std::int64_t tokens = 0, documents = 0;
  // Counted in the files, not read from the .json; bytes -1: unknown.
  std::vector<DomainCount> domains;
  std::vector<LengthBin> lengths;  // 0, 1, 2..3, 4..7, ... up to the longest
  std::vector<DocumentSample> samples;
};

// How a file without .json is read: the tokenizer says which ids there are, and which one ends a
// document.
struct ForeignTokens {
  TokenLayout layout = TokenLayout::megatron;
  std::string tokenizer;  // as make_tokenizer takes it; empty: unknown
};
TokenFile open_foreign(const std::filesystem::path& path, const ForeignTokens& foreign);

struct InspectOptions {
  std::int64_t samples = 3;         // documents, spread evenly
  std::int64_t sample_bytes = 300;  // of text of each
  std::string tokenizer;  // as make_tokenizer takes it; empty: the one that the .json names
  TokenLayout layout = TokenLayout::megatron;
};
// Samples need the tokenizer; where none is given and the .json names none that is built in, there
// are none. Throws Error{bad_input} as TokenFile does, and for a tokenizer given that did not
// make the file.
Inspection inspect_token_file(const std::filesystem::path& path,
                              const InspectOptions& options = {});

struct Check {
  std::string what;  // "sha256 of train.bin"
  bool passed = false;
  std::string fault;  // where it did not pass: what is there, and what should be
};
// Every length, offset, id, count and digest. A file that cannot even be read fails the first
// check. Throws Error{usage} where there is no such file.
std::vector<Check> verify_token_file(const std::filesystem::path& path,
                                     const ForeignTokens& foreign = {});

}  // namespace metascale
