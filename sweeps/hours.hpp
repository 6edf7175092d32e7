// How long runs take: seconds per step of each shape, as `metascale bench sweep` measured them on
// this machine and left them in results/<sweep>/bench.json.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "sweeps/resolve.hpp"

namespace metascale {

// What decides how long a step takes: runs of one shape are measured once. "rwkv7 150M 0123abcd",
// the digits over the model, context, batch, micro-batch, precision, recompute, wkv and low_rank.
std::string shape_of(const RunConfig& run);

class StepSeconds {
 public:
  // Nothing measured yet: empty. Throws Error{bad_input} if bench.json is damaged.
  explicit StepSeconds(const std::filesystem::path& results_folder);

  void set(const RunConfig& run, double seconds);
  bool has(const RunConfig& run) const { return seconds_.contains(shape_of(run)); }
  void write() const;

  // Of one run's own steps, on one slot; nothing where its shape was not measured.
  std::optional<double> hours(const PlannedRun& run) const;
  // Of all runs together; nothing where one of them is unknown.
  std::optional<double> hours(const Resolution& resolution) const;

 private:
  std::filesystem::path path_;
  std::map<std::string, double> seconds_;
};

}  // namespace metascale
