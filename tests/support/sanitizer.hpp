// Whether this is built with a sanitizer, for what then does not hold: bounds of memory, of time
// and of rounding. What is freed is kept, or each byte has others beside it, and sums have no
// vectors.
#pragma once

namespace metascale::testing {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_sanitized = true;
#else
constexpr bool is_sanitized = false;
#endif

}  // namespace metascale::testing
