// A run folder holds its log twice: run.h5 for people, journal.jsonl for truth. Which one to read,
// and how the first is made anew from the second.
#include <algorithm>
#include <optional>

#include "core/error.hpp"
#include "core/file.hpp"
#include "core/journal.hpp"
#include "core/journal/lines.hpp"
#include "core/journal/rows.hpp"
#include "core/log_differences.hpp"

namespace metascale {
namespace {

// The last whole line of a file, without its line feed; nothing if there is none.
std::optional<std::string> last_line(const std::filesystem::path& path) {
  const File file = open_to_read(path, Links::refuse);
  const std::uint64_t size = file.size();
  for (std::uint64_t span = std::uint64_t(1) << 16;; span *= 8) {
    const std::uint64_t begin = size > span ? size - span : 0;
    std::string tail(std::size_t(size - begin), '\0');
    tail.resize(file.read_some(tail.data(), tail.size(), begin));
    const std::size_t end = tail.rfind('\n');
    if (end != std::string::npos) {
      const std::size_t before = end == 0 ? std::string::npos : tail.rfind('\n', end - 1);
      if (before != std::string::npos) return tail.substr(before + 1, end - before - 1);
      if (begin == 0) return tail.substr(0, end);
    }
    if (begin == 0 || span > LineReader::max_line_bytes) return std::nullopt;
  }
}

// run.h5 is a snapshot of what the journal said at some time: if it ends with the journal's last
// row, it has all of them.
bool ends_with(const RunLog& log, const std::string& line) {
  const auto row = parse_journal_line(line);
  if (!row) return false;
  const std::string kind = read_text(*row, "row");
  if (kind == "step")
    return !log.steps.empty() && journal_line(to_row(log.steps.back())) == line + "\n";
  if (kind == "event")
    return !log.events.empty() && journal_line(to_row(log.events.back())) == line + "\n";
  if (kind != "evaluation" || log.evaluations.empty()) return false;
  const Evaluation& last = log.evaluations.back();
  return to_row(read_evaluation(*row)) == to_row(last) &&
         row->contains("segments") == !last.segments.empty();
}

template <typename Read>
auto try_to(Read&& read, std::string& complaint) -> std::optional<decltype(read())> {
  try {
    return read();
  } catch (const std::exception& error) {
    complaint = error.what();
    return std::nullopt;
  }
}

}  // namespace

RunLog read_run_folder(const std::filesystem::path& folder, std::string* source) {
  const std::filesystem::path snapshot_path = folder / "run.h5";
  const std::filesystem::path journal_path = folder / "journal.jsonl";
  const auto say = [&](const std::string& text) {
    if (source) *source = text;
  };
  std::string snapshot_complaint, journal_complaint, ignored;
  std::optional<RunLog> snapshot =
      try_to([&] { return read_run_file(snapshot_path); }, snapshot_complaint);
  const auto line = try_to([&] { return last_line(journal_path); }, journal_complaint);
  const bool agree = snapshot && line && *line &&
                     try_to([&] { return ends_with(*snapshot, **line); }, ignored).value_or(false);
  if (agree) {
    say("run.h5");
    return std::move(*snapshot);
  }
  std::optional<RunLog> journal =
      try_to([&] { return read_journal(journal_path); }, journal_complaint);
  if (journal) {
    say(snapshot ? "journal.jsonl (run.h5 is older)"
                 : "journal.jsonl (" + snapshot_complaint + ")");
    return std::move(*journal);
  }
  if (snapshot) {
    say("run.h5 (" + journal_complaint + ")");
    return std::move(*snapshot);
  }
  throw Error(concat(folder.string(), ": no log can be read here: ", snapshot_complaint, "; ",
                     journal_complaint),
              ExitCode::bad_input);
}

bool repair_run_folder(const std::filesystem::path& folder) {
  const RunLog journal = read_journal(folder / "journal.jsonl");
  std::string complaint;
  const auto snapshot = try_to([&] { return read_run_file(folder / "run.h5"); }, complaint);
  if (snapshot && log_differences(journal, *snapshot, LogPart::everything, 1).empty()) return false;
  write_run_file(folder / "run.h5", journal);
  return true;
}

}  // namespace metascale
