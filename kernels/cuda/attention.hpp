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

// Heads of a width that cuDNN takes.
constexpr bool is_cudnn_head(std::int64_t N) { return N % 8 == 0 && N <= 128; }

// The bytes that are planned for cuDNN's backward; 0: such operands are not for it, but for our
// body, whose memory does not grow with the square of T. What it asks for is assumed, not measured:
// ds of every head in bf16, in whole tiles of 64 queries by 128 keys, a sum for each query in f32
// [cudnn-frontend 1.32, sdpa_backward], and a 256th more. It gets memory of its own where that is
// too little.
constexpr std::int64_t cudnn_alignment = 256, most_cudnn_bytes = std::int64_t(4) << 30;
inline std::int64_t planned_cudnn_bytes(const AttentionBackward& op) {
  constexpr std::int64_t queries = 64, keys = 128;
  const std::int64_t B = op.q.shape[0], T = op.q.shape[1], H = op.q.shape[2];
  if (op.q.dtype != Dtype::bf16 || op.first.exists() || !is_cudnn_head(op.q.shape[3])) return 0;
  const std::int64_t asked = B * H * (2 * round_up(T, queries) * round_up(T, keys) + 4 * T);
  return asked <= most_cudnn_bytes ? asked + asked / 256 + cudnn_alignment : 0;
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
