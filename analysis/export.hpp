// Runs as other people's tools read them: tables, TensorBoard's event files, and JSON lines with
// the names that Weights & Biases gives to a run's history.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/collect.hpp"

namespace metascale {

enum class ExportFormat {
  csv,          // <folder>/<run id>/history.csv
  tensorboard,  // <folder>/<run id>/events.out.tfevents.<seconds>.metascale
  wandb         // <folder>/<run id>/history.jsonl and config.json
};
const char* name_of(ExportFormat format);
ExportFormat export_format_named(const std::string& name);  // throws Error{usage}

struct ExportResult {
  std::int64_t runs = 0;              // written
  std::vector<std::string> problems;  // runs that could not be read, with the reason
};

// Every step and every evaluation of each run that has a log, read anew from its folder. Throws
// Error{io} if the folder cannot be written.
ExportResult export_runs(const Collection& collection, ExportFormat format,
                         const std::filesystem::path& folder);

// One log as the content of its files. In CSV a cell is empty where its row has no such number: the
// rows of steps and those of evaluations stand in one table, in the order of steps.
std::string csv_history(const RunLog& log);
std::string tensorboard_events(const RunLog& log);
std::string wandb_history(const RunLog& log);
std::string wandb_config(const RunLog& log);

}  // namespace metascale
