#include "data/preparation/plan.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/hash.hpp"

namespace metascale {
namespace {

constexpr int version = 1;  // another one makes every unfinished preparation begin anew

std::string identity_of(const PrepareOptions& options, const Tokenizer& tokenizer, bool by_hash) {
  return sha256_hex(concat(version, "|", tokenizer.name(), "|", tokenizer.identity(), "|",
                           options.reader.longest_line, "|", options.reader.longest_text, "|",
                           by_hash, "|", options.shares.validation, "|", options.shares.test));
}

}  // namespace

PreparationPlan make_plan(const PrepareOptions& options, const Tokenizer& tokenizer) {
  PreparationPlan plan;
  const auto files = find_source_files(options.source);
  const auto splits = find_splits(options.source, files);
  plan.by_hash = splits.empty();
  for (const Split split : all_splits)
    if (plan.by_hash || splits.contains(split)) plan.parts.push_back(split);
  if (plan.by_hash)
    for (const auto& file : files) plan.units.push_back({file, std::nullopt});
  // What is held out is known before training text is read, which must not hold it.
  for (const Split split : {Split::validation, Split::test, Split::train})
    if (const auto found = splits.find(split); found != splits.end())
      for (const auto& file : found->second) plan.units.push_back({file, split});
  for (const PreparationUnit& unit : plan.units) plan.stamps.push_back(stamp_of(unit.file));
  plan.identity = identity_of(options, tokenizer, plan.by_hash);
  return plan;
}

}  // namespace metascale
