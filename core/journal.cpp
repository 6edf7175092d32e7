#include "core/journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <stdexcept>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/journal/lines.hpp"
#include "core/journal/rows.hpp"

namespace metascale {
namespace {

constexpr std::uint64_t max_segments_bytes = std::uint64_t(4) << 30;

[[noreturn]] void refuse_damaged(const std::filesystem::path& path, std::int64_t line) {
  const std::string remedy =
      line == 1 ? std::string(
                      "nothing stands before it: put the run's folder back from a copy, or remove "
                      "it and start the run anew")
                : concat("what stands before it is good: keep a copy, cut the file to its first ",
                         line - 1, " lines, and start the run again from its newest checkpoint");
  throw Error(concat(path.string(), ":", line, ": this line is damaged; ", remedy),
              ExitCode::bad_input);
}

// The line is as it was written: nothing may be cut for it.
[[noreturn]] void refuse_unknown(const std::filesystem::path& path, std::int64_t line,
                                 const std::string& what) {
  throw Error(concat(path.string(), ":", line, ": ", what,
                     "; the line has its right checksum: use the metascale that wrote it"),
              ExitCode::bad_input);
}

// Where the journal's whole lines end. Throws if a line before the last one is damaged.
std::uint64_t end_of_whole_lines(const std::filesystem::path& path) {
  LineReader lines(path);
  std::string_view line;
  std::uint64_t end = 0;
  while (lines.next(line)) {
    if (!lines.ended() || !has_good_crc(line)) {
      const std::uint64_t begin = lines.begin();
      if (!lines.at_end()) refuse_damaged(path, lines.number());
      return begin;
    }
    end = lines.begin() + line.size() + 1;
  }
  return end;
}

std::string digest_of(const std::filesystem::path& path) {
  const std::string bytes = read_file(path, max_segments_bytes, Links::refuse);
  return to_hex(xxh3_128(bytes.data(), bytes.size()));
}

// A name from a journal may only lead to files below the journal's folder.
std::filesystem::path below(const std::filesystem::path& folder, const std::string& name) {
  const std::filesystem::path relative = std::filesystem::path(name).lexically_normal();
  if (relative.empty() || relative.is_absolute() || *relative.begin() == "..")
    throw std::invalid_argument(concat("\"segments\" is \"", name, "\", outside the run's folder"));
  return folder / relative;
}

void read_segments_of(const nlohmann::json& row, const std::filesystem::path& folder,
                      Evaluation& evaluation) {
  if (!row.contains("segments")) return;
  const std::filesystem::path path = below(folder, read_text(row, "segments"));
  if (digest_of(path) != read_text(row, "segments_digest"))
    throw std::invalid_argument(concat(path.string(), " is not the file that was logged here"));
  evaluation.segments = read_segments(path).segments;
  for (const SegmentRow& segment : evaluation.segments)
    if (segment.domain < 0 || std::size_t(segment.domain) >= evaluation.domains.size())
      throw std::invalid_argument(concat(path.string(), " names domain ", segment.domain, " of ",
                                         evaluation.domains.size()));
}

// Applies the journal's rows one after the other.
class Rebuild {
 public:
  explicit Rebuild(const std::filesystem::path& journal) : folder_(journal.parent_path()) {}

  void apply(const nlohmann::json& row) {
    const std::string kind = read_text(row, "row");
    if (const std::int32_t attempt = read_attempt(row); attempt > 0) {
      if (attempt < newest_attempt_) return;  // it had lost the run
      if (kind == "header" || kind == "resume") newest_attempt_ = attempt;
    }
    if (kind == "header") {
      read_header(row, log_);
      has_header_ = true;
    } else if (kind == "step") {
      add(read_step(row));
    } else if (kind == "evaluation") {
      add(read_evaluation(row), row);
    } else if (kind == "event") {
      log_.events.push_back(read_event(row));
    } else if (kind == "resume") {
      resume(read_int(row, "step"));
    } else {
      throw std::invalid_argument(concat("a row of unknown kind \"", kind, "\""));
    }
  }
  bool has_header() const { return has_header_; }
  std::int32_t newest_attempt() const { return newest_attempt_; }

  RunLog finish() {
    // Segments of superseded evaluations may be gone, so files are read for those that stand.
    for (std::size_t i = 0; i < log_.evaluations.size(); ++i)
      read_segments_of(evaluation_rows_[i], folder_, log_.evaluations[i]);
    return std::move(log_);
  }

 private:
  void add(const StepRow& row) {
    if (row.step < 1) throw std::invalid_argument(concat("step ", row.step, "; steps start at 1"));
    while (!log_.steps.empty() && log_.steps.back().step >= row.step) log_.steps.pop_back();
    log_.steps.push_back(row);
  }
  void add(Evaluation evaluation, const nlohmann::json& row) {
    drop_evaluations([&](const Evaluation& old) {
      return old.step == evaluation.step && old.split == evaluation.split &&
             old.protocol == evaluation.protocol;
    });
    log_.evaluations.push_back(std::move(evaluation));
    nlohmann::json named = nlohmann::json::object();
    for (const char* name : {"segments", "segments_digest"})
      if (row.contains(name)) named[name] = row[name];
    evaluation_rows_.push_back(std::move(named));
  }
  void resume(std::int64_t step) {
    while (!log_.steps.empty() && log_.steps.back().step > step) log_.steps.pop_back();
    drop_evaluations([&](const Evaluation& old) { return old.step > step; });
  }
  template <typename Condition>
  void drop_evaluations(Condition&& condition) {
    for (std::size_t i = log_.evaluations.size(); i-- > 0;) {
      if (!condition(log_.evaluations[i])) continue;
      log_.evaluations.erase(log_.evaluations.begin() + std::ptrdiff_t(i));
      evaluation_rows_.erase(evaluation_rows_.begin() + std::ptrdiff_t(i));
    }
  }

  std::filesystem::path folder_;
  RunLog log_;
  // What names their segments, beside log_.evaluations.
  std::vector<nlohmann::json> evaluation_rows_;
  bool has_header_ = false;
  std::int32_t newest_attempt_ = 0;  // that was begun
};

}  // namespace

// Not through a symbolic link: cutting a torn line would cut a file that is no journal of ours.
Journal::Journal(const std::filesystem::path& path)
    : file_(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW) {
  if (file_.size() == 0) {
    const std::filesystem::path folder = path.parent_path();
    sync_folder(folder.empty() ? "." : folder);
    return;
  }
  const std::uint64_t end = end_of_whole_lines(path);
  if (end == file_.size()) return;
  if (::ftruncate(file_.descriptor(), off_t(end)) != 0)
    throw_io_error("cut the torn last line of", path, errno);
  file_.sync();
}

Journal::~Journal() = default;

void Journal::write_line(const std::string& line) {
  if (broken_)
    throw Error(concat(file_.path().string(), ": a write to it failed before; open it anew"),
                ExitCode::io);
  broken_ = true;
  file_.write(line.data(), line.size());
  broken_ = false;
}

void Journal::header(const RunLog& log) {
  nlohmann::ordered_json row = to_row(log);
  if (attempt_ > 0) row["attempt"] = attempt_;
  write_line(journal_line(row));
  sync();
}

void Journal::append(const StepRow& row) { write_line(journal_line(to_row(row))); }

void Journal::append(const Event& event) { write_line(journal_line(to_row(event))); }

void Journal::append(const Evaluation& evaluation, const std::string& segments_file) {
  nlohmann::ordered_json row = to_row(evaluation);
  if (attempt_ > 0) row["attempt"] = attempt_;
  if (!segments_file.empty()) {
    row["segments"] = segments_file;
    row["segments_digest"] = digest_of(below(file_.path().parent_path(), segments_file));
  }
  write_line(journal_line(row));
  sync();
}

void Journal::resume(std::int64_t step, std::int32_t attempt) {
  write_line(journal_line({{"row", "resume"}, {"step", step}, {"attempt", attempt}}));
  sync();
}

void Journal::sync() {
  if (broken_) return write_line("");  // throws
  broken_ = true;
  file_.sync_data();
  broken_ = false;
}

RunLog read_journal(const std::filesystem::path& path, std::int32_t* newest_attempt) {
  LineReader lines(path);
  Rebuild rebuild(path);
  std::string_view line;
  while (lines.next(line)) {
    const bool is_whole = lines.ended() && has_good_crc(line);
    const auto row = is_whole ? parse_journal_line(line) : std::nullopt;
    if (!is_whole && lines.at_end()) break;  // torn
    if (!is_whole) refuse_damaged(path, lines.number());
    if (!row) refuse_unknown(path, lines.number(), "it is not one JSON object of little depth");
    try {
      rebuild.apply(*row);
    } catch (const std::invalid_argument& error) {
      refuse_unknown(path, lines.number(), error.what());
    }
  }
  if (!rebuild.has_header())
    throw Error(concat(path.string(),
                       ": it has no header row, so no run is known from it; start the "
                       "run again"),
                ExitCode::bad_input);
  if (newest_attempt) *newest_attempt = rebuild.newest_attempt();
  try {
    return rebuild.finish();
  } catch (const std::invalid_argument& error) {
    throw Error(concat(path.string(), ": ", error.what(), "; evaluate the run's checkpoint again"),
                ExitCode::bad_input);
  }
}

}  // namespace metascale
