// The verbs of metascale bench that have files of their own; cli/bench.cpp adds them.
#pragma once

#include "cli/command.hpp"

namespace metascale {

void add_bench_cpu(CLI::App& bench, Action& action);
void add_bench_gpu(CLI::App& bench, Action& action);
void add_bench_context(CLI::App& bench, Action& action);
void add_bench_step(CLI::App& bench, Action& action);

}  // namespace metascale
