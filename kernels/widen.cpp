#include "kernels/widen.hpp"

#include <algorithm>

#include "kernels/cpu/convert.hpp"
#include "kernels/queue.hpp"

namespace metascale {

// One tensor in two places has one copy: an operator may write where it reads.
void WideOperands::widen(Tensor& operand, Use use) {
  const auto has_copy = [&](const Pair& pair) { return pair.stored.data == operand.data; };
  auto pair = std::find_if(pairs_.begin(), pairs_.end(), has_copy);
  if (pair == pairs_.end()) {
    Tensor wide = operand;
    wide.dtype = Dtype::f32;
    wide.data = memory_.take(pairs_.size(), wide.bytes());
    pair = pairs_.insert(pair, {operand, wide, false, false});
  }
  const bool read = use == Use::read || (use == Use::add && !operand.fresh);
  if (read && !pair->loaded)
    convert(pair->wide.pointer<float>(), operand.pointer<bfloat16>(), operand.size(), threads_);
  pair->loaded |= read;
  pair->written |= use == Use::write || use == Use::add;
  operand.data = pair->wide.data;
  operand.dtype = Dtype::f32;
}

void WideOperands::store() const {
  for (const Pair& pair : pairs_)
    if (pair.written)
      convert(pair.stored.pointer<bfloat16>(), pair.wide.pointer<float>(), pair.wide.size(),
              threads_);
}

}  // namespace metascale
