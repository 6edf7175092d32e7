#include "kernels/cuda/memory.hpp"

#include "kernels/cuda/launch.cuh"

namespace metascale::cuda {
namespace {

// CUDA reports what a kernel did wrong, or that the GPU is gone, at the next call that waits.
constexpr const char* failed_before =
    "the GPU failed at work that was sent to it before (nvidia-smi and the kernel's log tell "
    "more); what it "
    "computed since the last checkpoint is lost: start the run again";

}  // namespace

std::byte* allocate(std::size_t bytes) {
  void* memory = nullptr;
  if (bytes == 0) return nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status != cudaSuccess)
    throw Error(concat(bytes, " bytes were asked for on the GPU: ", cudaGetErrorString(status),
                       "; lower training.micro_batch or set training.recompute: block"),
                ExitCode::run_failed);
  return static_cast<std::byte*>(memory);
}

void release(std::byte* memory) noexcept { cudaFree(memory); }

std::byte* allocate_pinned(std::size_t bytes) {
  void* memory = nullptr;
  if (bytes == 0) return nullptr;
  const cudaError_t status = cudaMallocHost(&memory, bytes);
  if (status != cudaSuccess)
    throw Error(concat(bytes, " bytes were asked for on the host, for copies to the GPU: ",
                       cudaGetErrorString(status),
                       "; free memory there, or raise its limit of locked memory"),
                ExitCode::run_failed);
  return static_cast<std::byte*>(memory);
}

// CUDA does not promise that freeing waits for the copies under way.
void release_pinned(std::byte* memory) noexcept {
  if (memory) cudaDeviceSynchronize();
  cudaFreeHost(memory);
}

void finish(CUstream_st* stream) { expect_success(cudaStreamSynchronize(stream), failed_before); }

void clear(std::byte* memory, std::size_t bytes, CUstream_st* stream) {
  expect_success(cudaMemsetAsync(memory, 0, bytes, stream), "memory of the GPU was not cleared");
}

void send_to_device(std::byte* device, const std::byte* host, std::size_t bytes,
                    CUstream_st* stream) {
  expect_success(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream),
                 "a copy to the GPU failed");
}

void send_to_host(std::byte* host, const std::byte* device, std::size_t bytes,
                  CUstream_st* stream) {
  expect_success(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream),
                 "a copy from the GPU failed");
}

void copy_to_device(std::byte* device, const void* host, std::size_t bytes, CUstream_st* stream) {
  send_to_device(device, static_cast<const std::byte*>(host), bytes, stream);
  finish(stream);
}

void copy_to_host(void* host, const std::byte* device, std::size_t bytes, CUstream_st* stream) {
  send_to_host(static_cast<std::byte*>(host), device, bytes, stream);
  finish(stream);
}

}  // namespace metascale::cuda
