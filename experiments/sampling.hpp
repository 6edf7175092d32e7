// The next token, drawn from a model's logits.
#pragma once

#include <cstdint>
#include <vector>

namespace metascale {

struct Sampling {
  double temperature =
      1;             // logits are divided by it; 0: the most likely token, the lowest id of equals
  double top_p = 1;  // only the most likely tokens that together have this probability
  std::uint64_t seed = 0;
};

// draw: number of the draw; equal (seed, draw, logits) give equal tokens on any machine. Throws
// Error{usage} for a temperature below 0 or a top_p outside of (0, 1], Error{run_failed} where no
// logit is finite.
std::int32_t sample(const std::vector<double>& logits, const Sampling& sampling,
                    std::uint64_t draw);

}  // namespace metascale
