// What the two runs of a matched pair must agree on. experiments/ writes a run's key into its log's
// facts; analysis/ compares the keys of two logs and refuses the pair where they differ.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace metascale {

using MatchKey = std::map<std::string, std::string>;

struct MatchKeyEntry {
  std::string_view name;
  std::string_view meaning;  // as it stands in a sentence: "the <meaning> differs"
};

// In the order in which differences are told; every key holds exactly these. `identical` in a sweep's
// definition names those before matched_quantity [docs/sweep-file.md].
inline constexpr std::array<MatchKeyEntry, 13> match_key_entries = {{
    {"data_digest", "digest of the training tokens"},
    {"data_order", "order of the training windows and its seed"},
    {"tokens", "number of training tokens"},
    {"optimizer_steps", "number of optimizer steps"},
    {"tokenizer", "tokenizer"},
    {"context", "context length"},
    {"schedule", "schedule's kind and fractions"},
    {"batch_tokens", "batch size in tokens"},
    {"precision", "precision"},
    {"evaluation", "evaluation set or protocol"},
    {"matched_quantity", "quantity that was matched"},
    {"matched_value", "value of the matched quantity"},
    {"tolerance", "tolerance of the match"},
}};

// Throws Error{usage} naming entries that are missing or unknown.
void check_match_key(const MatchKey& key);

// Why two runs cannot be compared, one readable reason each; empty: they can. matched_value is compared
// within the smaller of both tolerances ("0.5%" of the mean), everything else as text. An entry that
// a key lacks is a difference.
std::vector<std::string> differences(const MatchKey& a, const MatchKey& b);

// In a log's facts the key's entries stand as "match.<name>".
void add_to_facts(const MatchKey& key, std::map<std::string, std::string>& facts);
MatchKey match_key_of(const std::map<std::string, std::string>& facts);

}  // namespace metascale
