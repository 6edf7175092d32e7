// The speed of this CPU where a training step spends its time: matrix products and the WKV7 scan.
#pragma once

#include "core/tensor.hpp"

namespace metascale {

// FLOP/s of C = A B at 1024 x 1024 x 1024, the median of several runs. operands: f32 or bf16.
double measure_gemm(Dtype operands, int threads);

struct WkvTiming {
  double forward = 0, read_out = 0, backward = 0;  // microseconds per head and token, one thread
};
WkvTiming measure_wkv7(std::int64_t head_size);

}  // namespace metascale
