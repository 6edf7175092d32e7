#include "kernels/kept_memory.hpp"

namespace metascale {

std::byte* KeptMemory::take(std::size_t slot, std::size_t bytes) {
  if (slots_.size() <= slot) slots_.resize(slot + 1);
  if (slots_[slot].bytes() < bytes) slots_[slot] = Buffer(Device::cpu, bytes);
  return slots_[slot].data();
}

}  // namespace metascale
