// How far a preparation has come: state.json in its work folder, replaced after each
// shard and every few seconds. What a killed process wrote behind its last state is cut off and
// made again, so nothing is different at the end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/document_reader.hpp"
#include "data/files/token_set_writer.hpp"

namespace metascale {

// One file of the source, as it was when it was read.
struct SourceStamp {
  std::string path;
  std::int64_t bytes = 0, modified = 0;  // modified: nanoseconds of the file system's clock
  friend bool operator==(const SourceStamp&, const SourceStamp&) = default;
};
SourceStamp stamp_of(const std::filesystem::path& path);

struct LineCounts {
  // Lines of the files read to their end, and documents of all files that are too long.
  SkippedLines skipped;
  std::int64_t empty = 0;       // lines of the files read to their end
  std::int64_t duplicates = 0;  // documents, of all files
};

// A place between two documents.
struct PreparationMark {
  std::int64_t files = 0;      // read to their end
  std::int64_t documents = 0;  // read of the next one
  LineCounts counts;
  std::vector<SourceFile> sources;            // the files read to their end
  std::map<std::string, TokenSetMark> parts;  // by name
  FileMark held_out;                          // hashes of validation's and test's texts
};

struct PreparationState {
  std::string identity;  // of tokenizer, split and options: a state stands only for the same
  std::vector<SourceStamp> files;  // in the order of reading
  // Between two files, before `now`: all that stands where a file between them was changed.
  PreparationMark file_begin;
  PreparationMark now;
};

// Throws Error{io}.
void write_state(const std::filesystem::path& path, const PreparationState& state);
// Nothing where there is none, or one of another identity. Throws Error{io}; Error{bad_input} for a
// file that is no such state.
std::optional<PreparationState> read_state(const std::filesystem::path& path,
                                           const std::string& identity);

}  // namespace metascale
