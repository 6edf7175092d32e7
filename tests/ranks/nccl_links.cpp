// The communicator of GPUs as a program with the real CUDA and NCCL, for machines that have these
// libraries but no nvcc and no GPU: it is compiled and linked by a test, and not run.
#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/cuda/memory.hpp"
#include "kernels/gpu_ranks.hpp"

// What memory.cu does, which is nvcc's to compile.
namespace metascale::cuda {

std::byte* allocate(std::size_t bytes) {
  void* memory = nullptr;
  return cudaMalloc(&memory, bytes) == cudaSuccess ? static_cast<std::byte*>(memory) : nullptr;
}
void release(std::byte* memory) noexcept { cudaFree(memory); }
void clear(std::byte* memory, std::size_t bytes, CUstream_st* stream) {
  cudaMemsetAsync(memory, 0, bytes, stream);
}

}  // namespace metascale::cuda

int main() {
  metascale::SingleCommunicator host;
  return metascale::connect_gpus({.device = metascale::Device::cuda}, host)->size() - 1;
}
