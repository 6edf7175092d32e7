// Which vector instructions this process computes with on the CPU.
#pragma once

#include <string>

#include "kernels/queue.hpp"

namespace metascale {

// Whether the processor has what the scans and attention of this level need; true for best and
// scalar.
bool processor_has(Simd level);

// The level that is meant by `wanted`. Throws (unavailable) where this processor does not have it.
Simd chosen_simd(Simd wanted);

// Whether products of bf16 operands gain from this processor's own instructions for them: with AMX,
// and with AVX512_BF16 except Intel's, where a vdpbf16ps takes as long as the two FMAs it replaces.
bool multiplies_bf16();

// "avx512, oneDNN avx512_core_bf16": of the scans with Simd::best, and of the matrix products;
// "..., bf16 in f32" where those of bf16 operands are made by f32 ones.
// Results of two such levels agree up to rounding only.
std::string cpu_instructions();

std::string onednn_version();  // "2.6.3", of the library as loaded

}  // namespace metascale
