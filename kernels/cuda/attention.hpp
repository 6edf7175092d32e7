// The bodies that attention can have on a GPU: cuDNN's, where the program was built with
// cudnn-frontend (CMake: METASCALE_CUDNN_FRONTEND) and cuDNN takes the operands, else our own: on
// tensor cores for activations in bf16, on ordinary ones for all others.
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

// nullptr in programs without it.
CudnnAttentionPointer make_cudnn_attention();

// "cudnn", or "own", with the shapes and the reason where cuDNN was refused.
const char* attention_body(const CudnnAttention* attention);

// Whether cuDNN has done it. Throws Error{run_failed} where cuDNN failed midway.
bool run_by_cudnn(const AttentionForward& op, CudaQueue& queue);
bool run_by_cudnn(const AttentionBackward& op, CudaQueue& queue);

// Whether our kernels on tensor cores have done it: activations in bf16, rows of whole 16 bytes.
bool run_on_tensor_cores(const AttentionForward& op, CudaQueue& queue);
bool run_on_tensor_cores(const AttentionBackward& op, CudaQueue& queue);

}  // namespace metascale::cuda
