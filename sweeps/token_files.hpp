// What the .json beside a token file says, as far as a sweep needs it. The file may not be there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "sweeps/resolve.hpp"

namespace metascale {

struct TokenFileFacts {
  std::string tokenizer;  // its name
  std::int64_t vocabulary = 0;
  std::string bin_sha256;  // of the .bin
};
// path: without .bin or .json. Nothing where there is no .json, or one of another kind.
std::optional<TokenFileFacts> token_file_facts(const std::filesystem::path& path);

// Throws Error{usage} where token files that are there were made by another tokenizer, or hold more
// ids than the definition's vocabulary.
void check_token_files(const Definition& definition);

// Throws Error{usage} where runs would find no tokens: once, before the first of them starts, with
// how they are made.
void expect_token_files(const Definition& definition, const std::vector<PlannedRun>& runs);

}  // namespace metascale
