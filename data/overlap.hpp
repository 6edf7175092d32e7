// How much of a held-out part stands in the training text too: runs of 13 words that both have.
// [Brown et al.: Language models are few-shot learners, 2020, appendix C.] A word is a run of ASCII
// letters and digits, in lower case, and bytes above 127; what is between words does not count.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/token_file.hpp"
#include "data/tokenizer.hpp"

namespace metascale {

inline constexpr std::int64_t overlap_words = 13;

struct DomainOverlap {
  std::string domain;
  std::int64_t documents = 0;          // of 13 words or more
  std::int64_t grams = 0, shared = 0;  // looked at; those of them that train has
  std::int64_t any = 0,
               half = 0;  // documents with one shared gram, and with half of theirs or more
};
struct OverlapReport {
  std::string part;   // filled by the caller
  double sample = 1;  // share of the grams, by their hash, that were looked at
  DomainOverlap total;
  std::vector<DomainOverlap> domains;
};

struct OverlapOptions {
  int threads = 1;                                    // the report is the same for any number
  std::int64_t most_grams = std::int64_t(1) << 22;    // kept in memory, of 16 bytes; else a sample
  std::function<void(std::int64_t tokens)> progress;  // of train, so far; on this thread
};

// Both files were made by this tokenizer. Throws Error{bad_input} where they were not.
OverlapReport find_overlap(const TokenFile& train, const TokenFile& held_out,
                           const Tokenizer& tokenizer, const OverlapOptions& options = {});

std::string to_json_text(const std::vector<OverlapReport>& reports);

}  // namespace metascale
