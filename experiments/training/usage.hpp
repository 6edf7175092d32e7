// What a run takes of its machine: facts of its log, over all attempts.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace metascale {

struct Usage {
  // Of one rank: resident memory of the process, or used memory of its GPU.
  std::int64_t peak_bytes = 0;
  std::int64_t before_bytes = 0;  // of its GPU, before the run asked for any; 0 on a CPU
  // All ranks' GPUs, since their drivers were loaded; NaN: not counted.
  double joules = std::nan("");
};

// What was counted in between; nothing where it was not.
std::optional<double> joules_between(const Usage& begin, const Usage& now);

// The largest resident memory of this process so far, in bytes.
std::size_t peak_resident_bytes();

// Its resident memory now, its files not counted, in bytes.
double resident_bytes();

// The facts peak_memory_bytes, the largest of all attempts, memory_before_bytes, of the last one
// that ran on a GPU, and energy_joules, the sum over them; no energy where nothing counts it, "nan"
// where that is so of one attempt only. before: the facts when the attempt began, first: that there
// was none before it; begin: what was used then.
std::map<std::string, std::string> usage_facts(const std::map<std::string, std::string>& before,
                                               bool first, const Usage& begin, const Usage& now);

}  // namespace metascale
