#include "cli/limits.hpp"

#include "kernels/gpu.hpp"
#include "sweeps/gpu_memory.hpp"
#include "sweeps/run_sweep.hpp"

namespace metascale {
namespace {

std::size_t bytes_of_this_gpu() {
  if (!cuda::is_linked()) return 0;
  try {
    return gpu_info().memory_bytes;
  } catch (const Error&) {
    return 0;  // planned on a machine without one
  }
}

}  // namespace

void refuse_above_limits(const Definition& definition, const Resolution& resolution,
                         const Ledger& ledger) {
  const bool uses_gpus = definition.device == Device::cuda;
  if (uses_gpus) refuse_above_memory(resolution, ledger, bytes_of_this_gpu());
  const auto hours = planned_hours(definition, resolution, ledger);
  if (!hours) return;
  const bool gpus = asks_for_gpus(definition);
  check_budget(definition, gpus ? hours->devices : 0, gpus ? 0 : hours->slots);
}

}  // namespace metascale
