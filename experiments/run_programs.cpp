#include "experiments/run_programs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/units.hpp"
#include "experiments/precision.hpp"
#include "experiments/probe_evaluation.hpp"
#include "kernels/gpu.hpp"

namespace metascale {
namespace {

// Tokens of one forward that is sized here. On a CPU few, so that the activations of a small model
// stay in its caches [docs/performance.md]; on a GPU enough sequences for the scans of WKV7, of
// which a multiprocessor holds several heads at once [docs/kernels.md].
constexpr std::int64_t cpu_tokens = 512, gpu_tokens = 32768;

ProgramOptions options_of(const RunConfig& config, std::int64_t rows, std::int64_t context,
                          bool training) {
  return {.rows = rows,
          .context = context,
          .tape = tape_options(config.training, config.device, training),
          .reset_at_documents = config.data.reset_at_documents,
          .cuda_graph = training && config.training.cuda_graph};
}

std::vector<ProgramOptions> evaluations_of(const RunConfig& config, std::int64_t micro_batch) {
  const std::int64_t context = config.training.context;
  if (!config.data.probe.exists()) return {options_of(config, micro_batch, context, false)};
  std::vector<ProgramOptions> all;
  for (const ProbeTest& test : probe_tests(config)) {
    all.push_back(options_of(config, test.rows, test.length, false));
    all.back().logits = true;
  }
  return all;
}

std::string advice(const RunConfig& config, const Placement& place, std::size_t room_bytes) {
  if (place.is_begun)
    return "a run keeps the micro-batch that it began with: free memory there, or use another GPU";
  const std::int64_t rows = config.training.batch_tokens / config.training.context;
  const std::int64_t fitting =
      largest_micro_batch(rows, place.ranks, place.micro_batch - 1, [&](std::int64_t each) {
        return planned_step(config, each, place.ranks).bytes() <= usable(room_bytes);
      });
  if (fitting > 0) return fmt::format("micro_batch: {} fits", fitting);
  return "no micro-batch fits: set training.recompute: block, start more ranks, or train a smaller "
         "model";
}

}  // namespace

RunPrograms::RunPrograms(const RunConfig& config, std::int64_t micro_batch, int ranks,
                         ParameterList& list) {
  ProgramOptions training = options_of(config, micro_batch, config.training.context, true);
  training.executions =
      executions_ahead(config.training.batch_tokens / config.training.context / micro_batch, ranks);
  training_ = std::make_unique<Program>(config.model, training, list);
  for (const ProgramOptions& options : evaluations_of(config, micro_batch))
    evaluations_.push_back(std::make_unique<Program>(config.model, options, list));
}

std::size_t RunPrograms::planned_bytes() const {
  std::size_t most = training_->tape().planned_bytes();
  for (const auto& program : evaluations_) most = std::max(most, program->tape().planned_bytes());
  return most;
}

std::size_t RunPrograms::bytes() const {
  std::size_t sum = planned_bytes() + training_->input_bytes();
  for (const auto& program : evaluations_) sum += program->input_bytes();
  return sum;
}

double RunPrograms::executed_flops_per_token() const {
  const ProgramOptions& options = training_->options();
  return training_->tape().total_cost().flops / double(options.rows * options.context);
}

void RunPrograms::allocate(Device device, const ParameterMemory& parameters) {
  planned_ = Buffer(device, planned_bytes());
  training_->allocate(device, parameters, planned_);
  for (const auto& program : evaluations_) program->allocate(device, parameters, planned_);
}

Program& RunPrograms::evaluation(std::int64_t rows, std::int64_t context) const {
  for (const auto& program : evaluations_)
    if (program->options().rows == rows && program->options().context == context) return *program;
  throw Error(concat("no evaluation of ", rows, " windows of ", context, " tokens was recorded"));
}

std::size_t opening_bytes(Device device) {
  return device == Device::cuda ? assumed_cuda_bytes + workspaces_of_gpu() : 0;
}

std::size_t bytes_when_open(Device device, std::size_t whole_bytes) {
  return whole_bytes - std::min(whole_bytes, opening_bytes(device));
}

PlannedStep planned_step(const RunConfig& config, std::int64_t micro_batch, int ranks) {
  ParameterList list;
  const RunPrograms programs(config, micro_batch, ranks, list);
  const TapeOptions& tape = programs.training().options().tape;
  const auto elements = std::size_t(list.arena_elements());
  const std::size_t moments = 2 * ((elements + std::size_t(ranks) - 1) / std::size_t(ranks));
  const std::size_t copies = tape.bf16_storage ? elements * size_of(Dtype::bf16) : 0;
  return {.parameter_bytes = (2 * elements + moments) * size_of(tape.dtype) + copies,
          .program_bytes = programs.bytes(),
          .opening_bytes = opening_bytes(config.device),
          .executed_flops_per_token = programs.executed_flops_per_token()};
}

std::int64_t executions_ahead(std::int64_t micro_batches, int ranks) {
  constexpr std::int64_t most = 32;
  return std::clamp<std::int64_t>((micro_batches + ranks - 1) / ranks, 1, most);
}

std::int64_t automatic_micro_batch(Device device, std::int64_t windows, std::int64_t context) {
  const std::int64_t tokens = device == Device::cuda ? gpu_tokens : cpu_tokens;
  std::int64_t best = 1;
  for (std::int64_t divisor = 1; divisor <= windows && divisor * context <= tokens; ++divisor)
    if (windows % divisor == 0) best = divisor;
  return best;
}

std::int64_t largest_micro_batch(std::int64_t rows, int ranks, std::int64_t most,
                                 const std::function<bool(std::int64_t)>& fits) {
  for (std::int64_t each = std::min(most, rows / ranks); each > 0; --each) {
    const bool is_even = rows % each == 0 && (rows / each) % ranks == 0;
    if ((is_even || each == 1) && fits(each)) return each;
  }
  return 0;
}

std::size_t usable(std::size_t free_bytes) { return free_bytes / 10 * 9; }

void expect_to_fit(const RunConfig& config, const Placement& place, const Room& room) {
  const PlannedStep step = planned_step(config, place.micro_batch, place.ranks);
  const std::size_t left = room.is_open ? room.bytes : bytes_when_open(config.device, room.bytes);
  if (step.bytes() <= left) return;
  const std::size_t wanted = room.is_open ? step.bytes() : step.device_bytes();
  const std::string opening = fmt::format(", {} for CUDA (assumed) and workspaces",
                                          format_bytes(double(step.opening_bytes)));
  throw Error(fmt::format("training.micro_batch: {} takes {} ({} for parameters, {} for "
                          "activations{}), but {} has {}{}; {}",
                          place.micro_batch, format_bytes(double(wanted)),
                          format_bytes(double(step.parameter_bytes)),
                          format_bytes(double(step.program_bytes)), room.is_open ? "" : opening,
                          room.device, format_bytes(double(room.bytes)),
                          room.is_open ? " free" : "", advice(config, place, left)),
              ExitCode::usage);
}

}  // namespace metascale
