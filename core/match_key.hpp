// What the two runs of a matched pair must agree on: facts of their logs (RunLog::facts), written
// by experiments/ and compared by analysis/, which refuses a pair that differs.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace metascale {

using MatchKey = std::map<std::string, std::string>;

struct MatchKeyEntry {
  std::string_view fact;       // its name in RunLog::facts
  std::string_view identical;  // its name under match.identical of a sweep; empty: always compared
  std::string_view words;      // for people
};

// In the order in which differences are told. Compared as text:
inline constexpr std::array<MatchKeyEntry, 12> match_key_entries = {{
    {"data_name", "data_order", "data"},
    {"data_digest", "data_order", "digest of the training data"},
    {"data_order", "data_order", "order of the training data, with its seed"},
    {"tokens_planned", "tokens", "planned tokens"},
    {"steps_planned", "optimizer_steps", "planned steps"},
    {"tokenizer", "tokenizer", "tokenizer"},
    {"context", "context", "context"},
    {"schedule", "schedule", "schedule"},
    {"batch_tokens", "batch_tokens", "tokens per batch"},
    {"precision", "precision", "precision"},
    {"evaluation", "evaluation", "protocol and windows of the evaluation"},
    {"match_on", "", "matched quantity"},
}};
// Compared as numbers: match_value, within the smaller of both match_tolerance ("0.5%" or "0.005").
inline constexpr std::string_view match_value_fact = "match_value";
inline constexpr std::string_view match_tolerance_fact = "match_tolerance";
// The sweep's match.identical: names with spaces between them. A run that did not log it is held
// to all of them.
inline constexpr std::string_view match_identical_fact = "match_identical";
// What all arms of the size were to have of the matched quantity, and how far the run is from it: a
// share of the target, with its sign. Facts of the log beside the key, not compared.
inline constexpr std::string_view match_target_fact = "match_target";
inline constexpr std::string_view match_residual_fact = "match_residual";

// The entries of the key that these facts hold.
MatchKey match_key_of(const std::map<std::string, std::string>& facts);

// What these facts' match_value and match_target make match_residual; empty where one is no number.
std::optional<double> match_residual(const std::map<std::string, std::string>& facts);

// Throws Error{internal} naming the first entry that is missing: call it before a key is logged.
void expect_complete(const MatchKey& key);

// Whether both runs' sweeps ask that what goes under this name in match.identical be equal.
bool must_agree(const MatchKey& a, const MatchKey& b, std::string_view identical);

// Why two runs cannot be compared, one readable reason each, with both values; empty: they can.
// What one of them (or both) did not log is such a reason; what need not agree is none.
std::vector<std::string> differences(const MatchKey& a, const MatchKey& b);

}  // namespace metascale
