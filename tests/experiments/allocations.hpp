// operator new of this whole test program, watched.
#pragma once

#include <cstddef>
#include <cstdint>

namespace metascale::testing {

struct Allocations {
  std::int64_t count = 0;
  std::size_t largest = 0;  // bytes
};
// Since the last call.
Allocations take_allocations();

}  // namespace metascale::testing
