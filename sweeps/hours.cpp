#include "sweeps/hours.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/hash.hpp"
#include "core/json_text.hpp"
#include "experiments/checkpoint.hpp"

namespace metascale {

using nlohmann::json;

std::string shape_of(const RunConfig& run) {
  const TrainingConfig& training = run.training;
  std::string text = fmt::format(
      "{} context={} batch={} micro_batch={} precision={} recompute={} wkv={}",
      model_identity(run.model), training.context, training.batch_tokens, training.micro_batch,
      name_of(training.precision), name_of(training.recompute), name_of(training.wkv));
  if (training.low_rank != LowRankForm::separate)  // said only then: what was measured stays known
    text += fmt::format(" low_rank={}", name_of(training.low_rank));
  if (training.cuda_graph) text += " cuda_graph";
  if (training.timed_products) text += " timed_products";
  return fmt::format("{} {} {}", run.arm, run.size, sha256_hex(text).substr(0, 8));
}

StepSeconds::StepSeconds(const std::filesystem::path& results_folder)
    : path_(results_folder / "bench.json") {
  if (!std::filesystem::exists(path_)) return;
  try {
    const json document = parse_json_or_throw(read_file(path_));
    for (const auto& [shape, seconds] : document.at("seconds_per_step").items())
      seconds_[shape] = seconds.get<double>();
  } catch (const json::exception& error) {
    throw Error(fmt::format("{}: {}; remove it and run metascale bench sweep again", path_.string(),
                            error.what()),
                ExitCode::bad_input);
  }
}

void StepSeconds::set(const RunConfig& run, double seconds) { seconds_[shape_of(run)] = seconds; }

void StepSeconds::write() const {
  std::filesystem::create_directories(path_.parent_path());
  write_file_atomically(path_, json{{"seconds_per_step", seconds_}}.dump(2) + "\n");
}

std::optional<double> StepSeconds::hours(const PlannedRun& run) const {
  const auto found = seconds_.find(shape_of(run.config));
  if (found == seconds_.end()) return std::nullopt;
  return found->second * run.tokens / double(run.config.training.batch_tokens) / 3600;
}

std::optional<double> StepSeconds::hours(const Resolution& resolution) const {
  double sum = 0;
  for (const auto& run : resolution.runs) {
    const auto own = hours(run);
    if (!own) return std::nullopt;
    sum += *own;
  }
  return sum;
}

}  // namespace metascale
