// metascale bench gpu; cli/bench.cpp adds it to its verbs.
#pragma once

#include "cli/command.hpp"

namespace metascale {

void add_bench_gpu(CLI::App& bench, Action& action);

}  // namespace metascale
