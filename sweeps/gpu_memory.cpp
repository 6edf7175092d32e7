#include "sweeps/gpu_memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "experiments/data_parallel.hpp"
#include "sweeps/hours.hpp"

namespace metascale {
namespace {

constexpr std::size_t common_gpu_bytes = 80'000'000'000;
constexpr double most_of_share = 1.1;  // windows of the busiest rank, over those of an even share

std::int64_t planned_micro_batch(const PlannedRun& run) {
  const TrainingConfig& training = run.config.training;
  return shared_micro_batch(training.batch_tokens / training.context, planned_ranks(run),
                            training.micro_batch);
}

std::size_t room_of(const PlannedRun& run, std::size_t otherwise_bytes) {
  const ResourceSettings& resources = run.resources;
  const std::size_t whole = resources.gpu_memory.value_or(otherwise_bytes);
  return whole / std::size_t(resources.runs_per_gpu.value_or(1));
}

}  // namespace

int planned_ranks(const PlannedRun& run) {
  const ResourceSettings& resources = run.resources;
  return int(resources.ranks.value_or(std::max<std::int64_t>(1, resources.gpus.value_or(1))));
}

std::int64_t AutomaticMicroBatches::operator()(const PlannedRun& run) {
  const TrainingConfig& training = run.config.training;
  const std::int64_t windows = training.batch_tokens / training.context;
  const int ranks = planned_ranks(run);
  const std::size_t room = usable(bytes_when_open(Device::cuda, room_of(run, common_gpu_bytes)));
  const auto [place, is_new] =
      known_.try_emplace(fmt::format("{} ranks={} room={}", shape_of(run.config), ranks, room));
  if (!is_new) return place->second;
  const std::int64_t most = automatic_micro_batch(Device::cuda, windows, training.context);
  // Windows of the rank that has most of them; ranks that have none are refused later.
  const auto busiest = [&](std::int64_t each) {
    const std::int64_t parts = windows / each;
    return (parts + ranks - 1) / ranks * each;
  };
  const auto is_even = [&](std::int64_t each) {
    return windows % each == 0 && double(busiest(each)) <= most_of_share * double(busiest(1));
  };
  std::int64_t each = most;
  while (each > 1 && (!is_even(each) || planned_step(run.config, each, ranks).bytes() > room))
    --each;
  return place->second = each;
}

PlannedStep planned_step(const PlannedRun& run) {
  return planned_step(run.config, planned_micro_batch(run), planned_ranks(run));
}

void refuse_above_memory(const Resolution& resolution, const Ledger& ledger,
                         std::size_t here_bytes) {
  std::set<std::tuple<std::string, int, std::size_t>> fitting;  // seeds are alike
  for (const PlannedRun& run : resolution.runs) {
    const std::size_t room = room_of(run, here_bytes);
    if (run.config.device != Device::cuda || room == 0) continue;
    if (ledger.status(run.config.id).phase() == RunPhase::done) continue;
    if (!fitting.emplace(shape_of(run.config), planned_ranks(run), room).second) continue;
    try {
      expect_to_fit(run.config,
                    {.micro_batch = planned_micro_batch(run), .ranks = planned_ranks(run)},
                    {.device = run.resources.gpu_memory
                                   ? "its GPU (resources.gpu_memory)"
                                   : "this GPU (say it in resources.gpu_memory for micro_batch: "
                                     "auto)",
                     .bytes = room});
    } catch (const Error& error) {
      throw Error(fmt::format("{}: {}", run.config.id, error.what()), error.code);
    }
  }
}

}  // namespace metascale
