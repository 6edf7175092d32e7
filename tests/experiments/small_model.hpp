// A model of two layers that executes in a millisecond, and what goes into it.
#pragma once

#include <catch2/catch.hpp>

#include "experiments/program.hpp"

namespace metascale::testing {

inline Architecture any_architecture() {
  return GENERATE(Architecture::transformer, Architecture::transformer_pp, Architecture::rwkv7,
                  Architecture::meta_state);
}

inline ModelConfig small_model(Architecture architecture) {
  return {.architecture = architecture,
          .layers = 2,
          .width = 32,
          .vocabulary = 67,
          .head_size = 16,
          .feed_forward = 48,
          .rank_decay = 8,
          .rank_rate = 8,
          .rank_value = 8,
          .rank_gate = 8};
}

// Tokens in which each is followed by the one 7 ids on; every loss counts the same.
inline void fill_inputs(Program& program) {
  const ProgramOptions& options = program.options();
  const std::int64_t count = options.rows * options.context;
  for (std::int64_t i = 0; i < count; ++i) {
    program.tokens()[i] = std::int32_t(i * 7 % 67);
    program.targets()[i] = std::int32_t((i + 1) * 7 % 67);
    if (options.tape.training) program.set_scale(i, 1.0 / double(count));
  }
}

inline std::vector<double> losses_of(const Program& program) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < program.options().rows * program.options().context; ++i)
    values.push_back(program.loss(i));
  return values;
}

}  // namespace metascale::testing
