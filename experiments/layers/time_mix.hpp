// The RWKV-7 time mix [RWKV-7, Peng et al. 2025; docs/model.md]: token shift, projections, the WKV7
// scan, and what the Meta-State layer needs to read the same state a second time.
#pragma once

#include "experiments/models/model.hpp"
#include "kernels/wkv7.hpp"

namespace metascale {

// The cross edge between a time mix and a later read-out of its state: the time mix makes room for
// q and e, the reader fills it, and the time mix's one reverse scan takes both in.
struct StateRead {
  Tensor q, e;  // (B, T, H_s, N); absent where nobody reads
  WkvRead read = WkvRead::previous;
};

struct TimeMix {
  Tensor out;            // (B, T, D)
  Tensor v_first;        // (B, T, A)     the first layer's values
  Tensor yhat;           // (B, T, H, N)  normalised read-out, before affine, bonus and gate
  Tensor d, k, v, b, u;  // (B, T, H, N)
  Tensor checkpoints;
  bool chunked = false;  // form of the WKV7 operators
  StateRead state_read;
};

// x (B, T, D): the normalised input. v_first: of layer 0; absent in layer 0 itself.
TimeMix time_mix(Forward& forward, std::int64_t layer, const Tensor& x, const Tensor& v_first);

// The token before the first of x, (B, D), where state is carried under this name; x leaves its
// last one there. Absent where no state is carried.
Tensor token_before(Forward& forward, const std::string& name, const Tensor& x);

// y^m = x + (shift(x) - x) mix^m for each of the mixes.
std::vector<Tensor> token_shift(Forward& forward, const Tensor& x, const Tensor& previous,
                                const std::vector<Tensor>& mixes);

}  // namespace metascale
