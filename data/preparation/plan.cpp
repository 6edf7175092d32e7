#include "data/preparation/plan.hpp"

#include <iterator>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "data/utf8.hpp"

namespace metascale {
namespace {

constexpr int version = 4;  // another one makes every unfinished preparation begin anew

std::string identity_of(const PrepareOptions& options, const Tokenizer& tokenizer, bool by_hash) {
  return sha256_hex(concat(version, "|", tokenizer.name(), "|", tokenizer.identity(), "|",
                           options.reader.longest_line, "|", options.reader.longest_text, "|",
                           by_hash, "|", options.shares.validation, "|", options.shares.test));
}

// What names no domain is, below a folder, of that of the first folder that holds it: so a folder
// of thousands of texts is not as many domains, and train.jsonl and test.jsonl are of one. The
// folder of a part, and the source itself where there is no other, say nothing about what is in it:
// then it is the source's name.
std::string domain_of(const std::filesystem::path& source, const PreparationUnit& unit) {
  if (!std::filesystem::is_directory(source)) return "";
  const std::filesystem::path relative = unit.file.lexically_relative(source);
  std::vector<std::filesystem::path> folders(relative.begin(), std::prev(relative.end()));
  if (unit.split && !folders.empty()) folders.erase(folders.begin());
  if (!folders.empty()) return repair_utf8(folders.front().string());
  const std::filesystem::path whole = std::filesystem::absolute(source / ".").lexically_normal();
  return repair_utf8(whole.parent_path().filename().string());  // empty for the root of all
}

// What an earlier call wrote, or this one writes, is nobody's text.
bool is_written_here(const std::filesystem::path& out, const std::filesystem::path& path) {
  const std::filesystem::path relative = path.lexically_relative(out);
  if (relative.empty()) return false;
  const std::string first = relative.begin()->string();
  if (first == "unfinished" || relative == "overlap.json") return true;
  for (const Split split : all_splits)
    for (const char* ending : {".bin", ".idx", ".documents", ".json"})
      if (relative == concat(name_of(split), ending)) return true;
  return false;
}

PassedOver passed_over(const PrepareOptions& options,
                       const std::vector<std::filesystem::path>& others) {
  PassedOver passed;
  const auto in_full = [](const std::filesystem::path& path) {
    return std::filesystem::absolute(path).lexically_normal();
  };
  const std::filesystem::path out = in_full(options.out / ".").parent_path();
  for (const std::filesystem::path& path : others)
    if (!is_written_here(out, in_full(path)) && ++passed.count == 1) passed.first = path;
  return passed;
}

}  // namespace

PreparationPlan make_plan(const PrepareOptions& options, const Tokenizer& tokenizer) {
  PreparationPlan plan;
  std::vector<std::filesystem::path> others;
  const auto files = find_source_files(options.source, &others);
  plan.passed_over = passed_over(options, others);
  const auto splits = find_splits(options.source, files);
  plan.by_hash = splits.empty();
  for (const Split split : all_splits)
    if (plan.by_hash || splits.contains(split)) plan.parts.push_back(split);
  if (plan.by_hash)
    for (const auto& file : files) plan.units.push_back({.file = file});
  // What is held out is known before training text is read, which must not hold it.
  for (const Split split : {Split::validation, Split::test, Split::train})
    if (const auto found = splits.find(split); found != splits.end())
      for (const auto& file : found->second) plan.units.push_back({.file = file, .split = split});
  std::string domains;
  for (PreparationUnit& unit : plan.units) {
    unit.domain = domain_of(options.source, unit);
    domains += concat(unit.domain.size(), ":", unit.domain);
    plan.stamps.push_back(stamp_of(unit.file));
  }
  plan.identity = sha256_hex(identity_of(options, tokenizer, plan.by_hash) + domains);
  return plan;
}

}  // namespace metascale
