// Conversions between dtypes, vectorised and shared out to threads.
#pragma once

#include <cstdint>

#include "core/tensor.hpp"
#include "kernels/rounding.hpp"

namespace metascale {

void convert(bfloat16* y, const float* x, std::int64_t count, int threads);
void convert(bfloat16* y, const double* x, std::int64_t count, int threads);
void convert(float* y, const bfloat16* x, std::int64_t count, int threads);
void convert(double* y, const bfloat16* x, std::int64_t count, int threads);
void convert(float* y, const double* x, std::int64_t count, int threads);
void convert(double* y, const float* x, std::int64_t count, int threads);
void round_to_bf16(bfloat16* y, const float* x, std::int64_t count, const Rounding& rounding,
                   int threads);

// The operand in bf16: itself, or a copy at `free`, which then moves behind the copy.
const bfloat16* rounded(const Tensor& operand, bfloat16*& free, int threads);

}  // namespace metascale
