// In programs built without cudnn-frontend: attention has our own body only.
#include "kernels/cuda/attention.hpp"

namespace metascale::cuda {

void DestroyCudnnAttention::operator()(CudnnAttention*) const noexcept {}

bool has_cudnn_attention() { return false; }

CudnnAttentionPointer make_cudnn_attention() { return nullptr; }

const char* attention_body(const CudnnAttention*) { return "own"; }

bool run_by_cudnn(const AttentionForward&, CudaQueue&) { return false; }
bool run_by_cudnn(const AttentionBackward&, CudaQueue&) { return false; }

}  // namespace metascale::cuda
