#include "analysis/export.hpp"

#include <array>

#include "analysis/support/text.hpp"
#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/journal.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::pair<ExportFormat, const char*>, 3> formats{
    {{ExportFormat::csv, "csv"},
     {ExportFormat::tensorboard, "tensorboard"},
     {ExportFormat::wandb, "wandb"}}};

void make_folder(const fs::path& folder) {
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem)
    throw Error(concat(folder.string(), ": cannot be made: ", problem.message(),
                       "; give another folder with --out"),
                ExitCode::io);
}

// The name carries the second of the run's start, as TensorBoard's own do; it is stable, so that a
// later export replaces the file.
std::string event_file_name(const RunLog& log) {
  const double start = log.events.empty() ? 0 : log.events.front().time;
  return concat("events.out.tfevents.", std::int64_t(start), ".metascale");
}

void write_run(const RunLog& log, ExportFormat format, const fs::path& folder) {
  make_folder(folder);
  switch (format) {
    case ExportFormat::csv: write_file_atomically(folder / "history.csv", csv_history(log)); return;
    case ExportFormat::tensorboard:
      write_file_atomically(folder / event_file_name(log), tensorboard_events(log));
      return;
    case ExportFormat::wandb:
      write_file_atomically(folder / "history.jsonl", wandb_history(log));
      write_file_atomically(folder / "config.json", wandb_config(log));
      return;
  }
}

}  // namespace

const char* name_of(ExportFormat format) {
  for (const auto& [candidate, name] : formats)
    if (candidate == format) return name;
  return "?";
}

ExportFormat export_format_named(const std::string& name) {
  for (const auto& [format, candidate] : formats)
    if (name == candidate) return format;
  throw Error(concat("there is no export '", name, "'; give csv, tensorboard or wandb"),
              ExitCode::usage);
}

ExportResult export_runs(const Collection& collection, ExportFormat format,
                         const fs::path& folder) {
  ExportResult result;
  for (const Run& run : collection.runs) {
    if (run.steps == 0) continue;  // no log, or one without a step
    RunLog log;
    try {
      log = read_run_folder(collection.folder / run.folder);
    } catch (const Error& error) {
      result.problems.push_back(concat(run.id, " is not exported: ", error.what()));
      continue;
    }
    write_run(log, format, folder / slug(run.id));
    ++result.runs;
  }
  return result;
}

}  // namespace metascale
