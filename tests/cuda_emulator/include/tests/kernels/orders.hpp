// The words of the file of this name in tests/kernels, emulated: every order that the emulator has.
#pragma once

#include <cuda_runtime.h>

namespace metascale::testing {

// The order in which emulated threads and blocks run, while this lives.
class InOrder {
 public:
  explicit InOrder(cuda_emulator::Order order) { cuda_emulator::set_order(order); }
  InOrder(const InOrder&) = delete;
  InOrder& operator=(const InOrder&) = delete;
  ~InOrder() { cuda_emulator::set_order(cuda_emulator::Order::forward); }
};

// Runs action for every order but the usual one.
template <typename Action>
void for_other_orders(Action&& action) {
  for (const auto order : {cuda_emulator::Order::reverse, cuda_emulator::Order::shuffled}) {
    const InOrder other(order);
    action();
  }
}

}  // namespace metascale::testing
