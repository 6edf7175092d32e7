// Conversions between dtypes, vectorised and shared out to threads.
#pragma once

#include <cstdint>

#include "core/bfloat16.hpp"
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

}  // namespace metascale
