// Low-rank maps of a token-shifted input: bias + act(x_m first) second, with
// x_m = x + (x_{t-1} - x) mix. What act takes comes from a product of each map's own x_m, or, for
// all maps of one x, from one product of x itself [kernels/low_rank.hpp].
#pragma once

#include "experiments/models/model.hpp"
#include "kernels/low_rank.hpp"

namespace metascale {

struct LowRankMap {
  Tensor mix;     // (D)
  Tensor first;   // (D, R)
  Tensor second;  // (R, A)
  Tensor bias;    // (A)  optional
  HiddenKind kind = HiddenKind::linear;
};

// act(x_m first), (B, T, R).  x_m (B, T, D)
Tensor hidden_of(Tape& tape, const Tensor& x_m, const LowRankMap& map);

// The same of every map, at once.  x (B, T, D), not shifted; previous (B, D): the token before the
// first, optional
std::vector<Tensor> joined_hidden(Forward& forward, const Tensor& x, const Tensor& previous,
                                  const std::vector<LowRankMap>& maps);

}  // namespace metascale
