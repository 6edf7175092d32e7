// The bodies that attention can have on a GPU: cuDNN's, where the program was built with
// cudnn-frontend (CMake: METASCALE_CUDNN_FRONTEND) and cuDNN takes the operands, else our own.
#pragma once

#include <memory>

#include "kernels/attention.hpp"

namespace metascale::cuda {

// What cuDNN keeps for one GPU: a handle and a graph per shape.
struct CudnnAttention;
struct DestroyCudnnAttention {
  void operator()(CudnnAttention* attention) const noexcept;
};
using CudnnAttentionPointer = std::unique_ptr<CudnnAttention, DestroyCudnnAttention>;

// nullptr in programs without it. Throws Error{unavailable} where cuDNN does not start.
CudnnAttentionPointer make_cudnn_attention();

// "cudnn", or "own" with the reason where there is one to tell.
const char* attention_body(const CudnnAttention* attention);

// Whether cuDNN has done it. Throws Error{run_failed} where cuDNN failed midway.
bool run_by_cudnn(const AttentionForward& op, CudaQueue& queue);
bool run_by_cudnn(const AttentionBackward& op, CudaQueue& queue);

}  // namespace metascale::cuda
