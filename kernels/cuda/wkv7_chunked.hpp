// WKV7 on tensor cores, a chunk of 16 tokens at a time: heads of 64 channels, stored in bf16.
#pragma once

#include "kernels/wkv7.hpp"

namespace metascale::cuda {

void wkv7_forward_chunked(const Wkv7Forward& op, CudaQueue& queue);
void wkv7_read_out_chunked(const Wkv7ReadOut& op, CudaQueue& queue);
void wkv7_query_backward_chunked(const Wkv7QueryBackward& op, CudaQueue& queue);
void wkv7_backward_chunked(const Wkv7Backward& op, CudaQueue& queue);

}  // namespace metascale::cuda
