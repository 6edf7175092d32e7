// Cores of this machine, shared out to the runs.
#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <thread>

#include "sweeps/executor.hpp"

namespace metascale {

std::vector<int> available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(std::size_t(core), &set)) cores.push_back(core);
  if (cores.empty())
    for (unsigned core = 0; core < std::max(1u, std::thread::hardware_concurrency()); ++core)
      cores.push_back(int(core));
  return cores;
}

SlotPlan plan_slots(const std::vector<int>& cores, std::int64_t slots, std::int64_t threads,
                    std::size_t jobs) {
  const auto count = std::int64_t(cores.size());
  if (slots * std::max<std::int64_t>(threads, 1) > count || threads > count)
    throw Error(
        fmt::format("{} slots of {} threads need more than the {} cores here; write auto, or less",
                    std::max<std::int64_t>(slots, 1), std::max<std::int64_t>(threads, 1), count),
        ExitCode::usage);
  const std::int64_t wanted = std::max<std::int64_t>(1, std::int64_t(jobs));
  if (!slots) slots = std::min(wanted, threads ? count / threads : count);
  slots = std::min(slots, wanted);
  if (!threads) threads = count / slots;
  SlotPlan plan{.threads = threads};
  for (std::int64_t slot = 0; slot < slots; ++slot)
    plan.slots.emplace_back(cores.begin() + slot * threads, cores.begin() + (slot + 1) * threads);
  return plan;
}

SlotPlan unpinned_slots(std::int64_t slots, std::int64_t threads) {
  return {.threads = std::max<std::int64_t>(1, threads),
          .slots = std::vector<std::vector<int>>(std::size_t(std::max<std::int64_t>(1, slots)))};
}

}  // namespace metascale
