// RWKV-7 [Peng et al. 2025]:
//   x <- x + TimeMix(LN1 x);   x <- x + V relu(K c)^2,   c = token shift of LN2 x
#include "experiments/models/recurrent.hpp"

namespace metascale {

ModelOutput rwkv7(Forward& f, const Tensor& tokens) {
  return recurrent(f, tokens, [](Forward& f, std::int64_t layer, const Tensor& c, const TimeMix&) {
    return channel_mix(f, layer, c);
  });
}

}  // namespace metascale
