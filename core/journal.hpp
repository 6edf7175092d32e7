// journal.jsonl: the append-only truth of a run. One JSON row per line with a CRC-32C at its end, written by
// one write(2) with O_APPEND. A torn last line is cut on the next open; everything before it stands.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/run_file.hpp"

namespace metascale {

class Journal {
 public:
  // Opens for appending, creating it if need be; cuts a torn last line.
  // Throws Error{io}, or Error{bad_input} when a line before the last one is damaged.
  explicit Journal(const std::filesystem::path& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void header(const RunLog& log);  // run id, configuration, facts, environment: one per attempt
  void append(const StepRow& row);
  // segments_file: where the evaluation's segments were written before this call (empty: none).
  void append(const Evaluation& evaluation, const std::string& segments_file);
  void append(const Event& event);
  // From step on, rows written so far are superseded: the run resumes at step.
  void resume(std::int64_t step, std::int32_t attempt);
  void sync();  // fdatasync

 private:
  void write_line(const std::string& json);
  std::filesystem::path path_;
  int file_ = -1;
};

// Rebuilds the log that a journal tells of (segments are read from evaluations/ beside it).
// A torn last line is ignored; damage before it is Error{bad_input} naming file:line.
RunLog read_journal(const std::filesystem::path& path);

// The newest of run.h5 and journal.jsonl in a run folder: run.h5 where both agree on the last step, else
// the journal. `source` says which was read. Throws Error{bad_input} if neither can be.
RunLog read_run_folder(const std::filesystem::path& folder, std::string* source = nullptr);

// Rebuilds run.h5 from the journal where they do not agree. Returns whether it wrote.
bool repair_run_folder(const std::filesystem::path& folder);

// Segments of an evaluation: evaluations/<split>-step-<N>.bin, with a digest at its end.
void write_segments(const std::filesystem::path& path, const Evaluation& evaluation);
std::vector<SegmentRow> read_segments(const std::filesystem::path& path);

}  // namespace metascale
