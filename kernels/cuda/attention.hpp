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

// The bytes that cuDNN's deterministic backward works in: ds of every head in bf16, in whole tiles
// of 64 queries by 128 keys, and a sum for each query in f32. Assumed, not measured [cudnn-frontend
// 1.32, sdpa_backward].
constexpr std::int64_t cudnn_backward_bytes(std::int64_t B, std::int64_t T, std::int64_t H) {
  constexpr std::int64_t queries = 64, keys = 128;
  return B * H * (2 * round_up(T, queries) * round_up(T, keys) + 4 * T);
}
// Above so much our own body does it, whose memory does not grow with the square of T.
constexpr std::int64_t most_cudnn_bytes = std::int64_t(4) << 30;

// The bytes that are planned for it, a 256th and a beginning on cudnn_alignment among them; where
// it asks for more, it gets memory of its own. 0: such operands are not for cuDNN.
constexpr std::int64_t cudnn_alignment = 256;
inline std::int64_t planned_cudnn_bytes(const AttentionBackward& op) {
  if (op.q.dtype != Dtype::bf16 || op.first.exists() || !is_cudnn_head(op.q.shape[3])) return 0;
  const std::int64_t asked = cudnn_backward_bytes(op.q.shape[0], op.q.shape[1], op.q.shape[2]);
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
