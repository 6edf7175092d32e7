#include "data/preparation/state.hpp"

#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/json_text.hpp"

namespace metascale {

using Json = nlohmann::json;

// nlohmann finds these by their names and namespace.
static void to_json(Json& json, const FileMark& mark) { json = {mark.bytes, mark.crc}; }
static void from_json(const Json& json, FileMark& mark) {
  json.at(0).get_to(mark.bytes);
  json.at(1).get_to(mark.crc);
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TokenWriterMark, bin, sizes, tokens, sequences)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DomainCount, name, documents, tokens, bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TokenSetMark, tokens, records, domains)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SourceFile, file, bytes, sha256)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SourceStamp, path, bytes, modified)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SkippedLines, count, named)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LineCounts, skipped, empty, duplicates)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PreparationMark, files, documents, counts, sources, parts,
                                   held_out)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PreparationState, identity, files, file_begin, now)

SourceStamp stamp_of(const std::filesystem::path& path) {
  return {
      .path = path.string(),
      .bytes = std::int64_t(std::filesystem::file_size(path)),
      .modified = std::int64_t(std::filesystem::last_write_time(path).time_since_epoch().count())};
}

void write_state(const std::filesystem::path& path, const PreparationState& state) {
  // A path need not be UTF-8: what is not is replaced, and then such a file counts as changed.
  write_file_atomically(path, Json(state).dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::optional<PreparationState> read_state(const std::filesystem::path& path,
                                           const std::string& identity) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  try {
    const Json json = parse_json_or_throw(read_file(path, std::uint64_t(1) << 30));
    if (json.at("identity") != identity) return std::nullopt;
    return json.get<PreparationState>();
  } catch (const Json::exception& error) {
    throw Error(concat(path.string(), ": is damaged (", error.what(), "); remove the folder ",
                       path.parent_path().string(), " to begin anew"),
                ExitCode::bad_input);
  }
}

}  // namespace metascale
