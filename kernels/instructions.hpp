// Which vector instructions this process computes with on the CPU.
#pragma once

#include <string>

#include "kernels/queue.hpp"

namespace metascale {

// Whether the processor has what the scans of this level need; true for best and scalar.
bool processor_has(Simd level);

// "avx512, oneDNN avx512_core_bf16": of the scans with Simd::best, and of the matrix products.
// Results of two such levels agree up to rounding only.
std::string cpu_instructions();

std::string onednn_version();  // "2.6.3", of the library as loaded

}  // namespace metascale
