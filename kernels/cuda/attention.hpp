// The bodies that attention can have on a GPU: cuDNN's, where the program was built with
// cudnn-frontend (CMake: METASCALE_CUDNN_FRONTEND) and cuDNN takes the operands, else our own: on
// tensor cores for activations in bf16, on ordinary ones for all others.
#pragma once

#include <memory>

#include "core/round_up.hpp"
#include "kernels/attention.hpp"

namespace metascale::cuda {

// What cuDNN keeps for one GPU: a handle and a graph per shape.
struct CudnnAttention;
struct DestroyCudnnAttention {
  void operator()(CudnnAttention* attention) const noexcept;
};
using CudnnAttentionPointer = std::unique_ptr<CudnnAttention, DestroyCudnnAttention>;

bool has_cudnn_attention();

// nullptr in programs without it.
CudnnAttentionPointer make_cudnn_attention();

// What cuDNN's deterministic backward works in on Hopper: ds of every head in bf16, in whole tiles
// of 64 queries by 128 keys, a sum for each query in f32 [cudnn-frontend 1.32, sdpa_backward], and
// room to begin on cudnn_alignment. Elsewhere it needs less; where it asks for more, it gets memory
// of its own.
constexpr std::int64_t cudnn_alignment = 256;
constexpr std::int64_t deterministic_backward_bytes(std::int64_t B, std::int64_t T,
                                                    std::int64_t H) {
  constexpr std::int64_t queries = 64, keys = 128;
  return B * H * (2 * round_up(T, queries) * round_up(T, keys) + 4 * T) + cudnn_alignment;
}

// "cudnn", or "own", with the shapes and the reason where cuDNN was refused.
const char* attention_body(const CudnnAttention* attention);

// Whether cuDNN has done it. Throws Error{run_failed} where cuDNN failed midway.
bool run_by_cudnn(const AttentionForward& op, CudaQueue& queue);
bool run_by_cudnn(const AttentionBackward& op, CudaQueue& queue);

// Whether our kernels on tensor cores have done it: activations in bf16, rows of whole 16 bytes.
bool run_on_tensor_cores(const AttentionForward& op, CudaQueue& queue);
bool run_on_tensor_cores(const AttentionBackward& op, CudaQueue& queue);

}  // namespace metascale::cuda
