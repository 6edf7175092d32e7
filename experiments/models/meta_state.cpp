// Meta-State: RWKV-7 with the channel mix of every block replaced by a layer that reads the WKV
// state as weights (our definition, docs/model.md; the paper's equations were not at hand):
//   x <- x + TimeMix(LN1 x);   x <- x + V relu(K z)^2,   z = c + gamma * norm(S q(c)),
//   c = token shift of LN2 x
#include "experiments/models/recurrent.hpp"

namespace metascale {

ModelOutput meta_state(Forward& f, const Tensor& tokens) {
  return recurrent(f, tokens, meta_state_layer);
}

}  // namespace metascale
