// evaluations/<split>-step-<N>.bin: little-endian, packed
//   "MSSEGM1\n", step (int64), digest of the evaluation (uint64), rows (uint64)
//   per row: window, document (int64), domain (int32), tokens, bytes (int64), nats (float64)
//   a seal [core/seal.hpp]
#include <cstring>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/journal.hpp"
#include "core/seal.hpp"

namespace metascale {
namespace {

constexpr std::string_view magic = "MSSEGM1\n";
constexpr std::size_t head_bytes = 32, row_bytes = 44;
constexpr std::uint64_t max_segments_bytes = std::uint64_t(4) << 30;

template <typename T>
void put(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
void take(const char*& next, T& value) {
  std::memcpy(&value, next, sizeof value);
  next += sizeof value;
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw Error(concat(path.string(), ": ", what, "; evaluate the run's checkpoint again"),
              ExitCode::bad_input);
}

}  // namespace

void write_segments(const std::filesystem::path& path, const Evaluation& evaluation) {
  std::string bytes;
  bytes.reserve(head_bytes + row_bytes * evaluation.segments.size() + seal_bytes);
  bytes.append(magic);
  put(bytes, evaluation.step);
  put(bytes, evaluation.digest);
  put(bytes, std::uint64_t(evaluation.segments.size()));
  for (const SegmentRow& row : evaluation.segments) {
    put(bytes, row.window);
    put(bytes, row.document);
    put(bytes, row.domain);
    put(bytes, row.tokens);
    put(bytes, row.bytes);
    put(bytes, row.nats);
  }
  append_seal(bytes);
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);  // if not, writing says why
  write_file_atomically(path, bytes);
}

SegmentsFile read_segments(const std::filesystem::path& path) {
  const std::string bytes = read_file(path, max_segments_bytes);
  std::string_view content = bytes;
  if (take_seal(content, path) != Seal::good) refuse(path, "the digest at its end is missing");
  if (content.size() < head_bytes || content.substr(0, magic.size()) != magic)
    refuse(path, "this is no file of evaluation segments");
  SegmentsFile file;
  std::uint64_t rows = 0;
  const char* next = content.data() + magic.size();
  take(next, file.step);
  take(next, file.digest);
  take(next, rows);
  const std::size_t space = content.size() - head_bytes;
  if (space % row_bytes != 0 || rows != space / row_bytes)
    refuse(path, concat("it claims ", rows, " segments, but has ", space, " bytes of them"));
  file.segments.resize(rows);
  for (SegmentRow& row : file.segments) {
    take(next, row.window);
    take(next, row.document);
    take(next, row.domain);
    take(next, row.tokens);
    take(next, row.bytes);
    take(next, row.nats);
  }
  return file;
}

}  // namespace metascale
