// journal.jsonl: the append-only truth of a run. One JSON row per line with a CRC-32C at its end,
// written by one write(2) with O_APPEND. A torn last line is cut on the next open; everything
// before it stands.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/file.hpp"
#include "core/run_file.hpp"

namespace metascale {

// After a failed write, which may have left half a line, every further write throws: open it anew.
class Journal {
 public:
  // Opens for appending, creating it if need be; cuts a torn last line.
  // Throws Error{io}, or Error{bad_input} when a line before the last one is damaged.
  explicit Journal(const std::filesystem::path& path);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // The attempt that headers and evaluations are written by from here on; steps, events and resumes
  // name theirs themselves. Without it they name none, as in older journals.
  void begin(std::int32_t attempt) { attempt_ = attempt; }
  void header(const RunLog& log);  // run id, configuration, facts, environment: one per attempt
  void append(const StepRow& row);
  // segments_file: where the evaluation's segments were written before this call, relative to the
  // journal's folder (empty: none).
  void append(const Evaluation& evaluation, const std::string& segments_file);
  void append(const Event& event);
  // The run goes on from the checkpoint of this step: rows of later steps, and their evaluations,
  // are superseded. Events are history and stay.
  void resume(std::int64_t step, std::int32_t attempt);
  void sync();  // fdatasync

 private:
  void write_line(const std::string& json);
  File file_;
  std::int32_t attempt_ = 0;  // 0: none was begun
  bool broken_ = false;
};

// Rebuilds the log that a journal tells of (segments are read from evaluations/ beside it).
// Headers and resumes begin an attempt; rows that an older one wrote after that are left out: it
// had lost the run and did not know yet. newest_attempt becomes the newest that was begun, 0 where
// none was. A torn last line is ignored; damage before it, and a schema or rows that this program
// does not know, are Error{bad_input} naming file:line.
RunLog read_journal(const std::filesystem::path& path, std::int32_t* newest_attempt = nullptr);

// The newest of run.h5 and journal.jsonl in a run folder: run.h5 where it holds the journal's last
// row, else the journal. `source` becomes the name of the file that was read, and why where it was
// not run.h5 with a journal that agrees: "journal.jsonl (run.h5 is older)". Throws Error{bad_input}
// if neither can be read.
RunLog read_run_folder(const std::filesystem::path& folder, std::string* source = nullptr);

// Rebuilds run.h5 from the journal where they do not agree. Returns whether it wrote.
bool repair_run_folder(const std::filesystem::path& folder);

// Segments of an evaluation: evaluations/<split>-step-<N>.bin, with a digest at its end.
struct SegmentsFile {
  std::int64_t step = 0;
  std::uint64_t digest = 0;  // Evaluation::digest
  std::vector<SegmentRow> segments;
};
void write_segments(const std::filesystem::path& path, const Evaluation& evaluation);
// Throws Error{bad_input} where it is damaged or no such file.
SegmentsFile read_segments(const std::filesystem::path& path);

}  // namespace metascale
