#include "kernels/widen.hpp"

#include "kernels/cpu/convert.hpp"
#include "kernels/queue.hpp"

namespace metascale {

std::byte* WideMemory::take(std::size_t slot, std::size_t bytes) {
  if (slots_.size() <= slot) slots_.resize(slot + 1);
  if (slots_[slot].bytes() < bytes) slots_[slot] = Buffer(Device::cpu, bytes);
  return slots_[slot].data();
}

void WideOperands::widen(Tensor& operand, Use use) {
  const bool written = use == Use::write || use == Use::add;
  for (Pair& pair : pairs_)
    if (pair.stored.data == operand.data) {  // one tensor in two places has one copy
      pair.written |= written;
      operand.data = pair.wide.data, operand.dtype = Dtype::f32;
      return;
    }
  Tensor wide = operand;
  wide.dtype = Dtype::f32;
  wide.data = memory_.take(pairs_.size(), wide.bytes());
  if (use == Use::read || (use == Use::add && !operand.fresh))
    convert(wide.pointer<float>(), operand.pointer<bfloat16>(), operand.size(), threads_);
  pairs_.push_back({operand, wide, written});
  operand = wide;
}

void WideOperands::store() const {
  for (const Pair& pair : pairs_)
    if (pair.written)
      convert(pair.stored.pointer<bfloat16>(), pair.wide.pointer<float>(), pair.wide.size(),
              threads_);
}

}  // namespace metascale
