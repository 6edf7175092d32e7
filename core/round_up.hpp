#pragma once

#include <concepts>

namespace metascale {

// The least multiple of `unit` that is not below `count`. Both count things: neither is negative,
// unit is not 0.
template <std::integral T>
constexpr T round_up(T count, T unit) {
  return (count + unit - 1) / unit * unit;
}

}  // namespace metascale
