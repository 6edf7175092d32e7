// The orders in which threads and blocks run. The emulator has a file of this name, with orders to
// choose from.
#pragma once

namespace metascale::testing {

// A GPU has one order of its own, and maybe another one each time.
template <typename Action>
void for_other_orders(Action&& action) {
  action();
}

}  // namespace metascale::testing
