// Where an attempt of a run computes, and with what: `environment` of the log [docs/log-schema.md].
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace metascale {

// build_info's words, and of this process' machine: "host", "cpu" (the processor's name), "threads"
// (of the CPU), "kernel", "onednn". "unknown" where the system does not tell.
std::map<std::string, std::string> environment_of_run(std::int64_t threads);

}  // namespace metascale
