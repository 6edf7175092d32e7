// Memory that a queue keeps from one operator to the next. It only grows, so that a step repeated
// allocates nothing.
#pragma once

#include <vector>

#include "kernels/memory.hpp"

namespace metascale {

class KeptMemory {
 public:
  // Slots below are for the f32 copies of an operator's bf16 operands [kernels/widen.hpp].
  static constexpr std::size_t body_slot = 32;     // of an operator's body
  static constexpr std::size_t product_slot = 33;  // of a product that a body makes

  // At least `bytes` on a cache line's boundary, until the slot is taken again.
  std::byte* take(std::size_t slot, std::size_t bytes);

 private:
  std::vector<Buffer> slots_;
};

}  // namespace metascale
