#include "sweeps/token_files.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/json_text.hpp"

namespace metascale {
namespace {

// corpora/small, which README and the sweep files name, is made by one command.
std::string how_to_make(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.parent_path();
  const std::string tier = folder.filename().string();
  if (folder.parent_path().filename() == "corpora" && (tier == "small" || tier == "full"))
    return fmt::format("make them with metascale data corpus --tier {} --out {}", tier,
                       folder.string());
  return "check the path, or make them of your texts with metascale data prepare";
}

bool has_tokens(std::filesystem::path path) {
  if (path.extension() == ".bin" || path.extension() == ".idx") path.replace_extension();
  return std::filesystem::exists(path += ".bin");
}

}  // namespace

std::optional<TokenFileFacts> token_file_facts(const std::filesystem::path& path) {
  std::filesystem::path file = path;
  file += ".json";
  if (path.empty() || !std::filesystem::exists(file)) return std::nullopt;
  const nlohmann::json json = parse_json(read_file(file));
  try {
    return TokenFileFacts{.tokenizer = json.at("tokenizer").at("name").get<std::string>(),
                          .vocabulary = json.at("tokenizer").at("vocabulary").get<std::int64_t>(),
                          .bin_sha256 = json.at("sha256").at("bin").get<std::string>()};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;  // opening the token file tells what is wrong with it
  }
}

void check_token_files(const Definition& definition) {
  const DataConfig& data = definition.data.config;
  for (const auto* path : {&data.train, &data.validation, &data.test}) {
    const auto facts = token_file_facts(*path);
    if (!facts) continue;
    if (facts->tokenizer != std::filesystem::path(data.tokenizer).filename())
      throw error_at(
          definition.data.place,
          fmt::format("{} was made by the tokenizer '{}', not by '{}'", path->string(),
                      facts->tokenizer, data.tokenizer),
          fmt::format("write tokenizer: {}, or prepare the data again", facts->tokenizer));
    if (definition.data.vocabulary < facts->vocabulary)
      throw error_at(definition.data.vocabulary_place,
                     fmt::format("{} is too small: {} holds {} ids", definition.data.vocabulary,
                                 path->string(), facts->vocabulary),
                     fmt::format("write {} or more", facts->vocabulary));
  }
}

void expect_token_files(const Definition& definition, const std::vector<PlannedRun>& runs) {
  for (const PlannedRun& run : runs) {
    const DataConfig& data = run.config.data;
    if (data.probe.exists()) continue;
    for (const auto* path : {&data.train, &data.validation, &data.test})
      if (!path->empty() && !has_tokens(*path))
        throw error_at(definition.data.place,
                       fmt::format("there are no token files at {}", path->string()),
                       how_to_make(*path));
  }
}

}  // namespace metascale
