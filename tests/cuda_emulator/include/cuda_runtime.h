// CUDA for tests: every CUDA thread is a fiber of the calling thread, blocks run one after another.
// It is found in place of NVIDIA's header because its folder comes first in the include path;
// product code does not know of it. This file and cuda_bf16.h beside it are also the vocabulary of
// the kernels: a kernel that needs a further word adds it here, with a test in
// tests/kernels/test_emulator.cpp.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ thread_local  // blocks run in turn, so one instance per variable is enough
#define __align__(bytes) __attribute__((aligned(bytes)))

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
  constexpr std::uint64_t count() const { return std::uint64_t(x) * y * z; }
};
struct uint3 {
  unsigned x, y, z;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;

namespace cuda_emulator {

// Where a barrier stands in the source (std::source_location is missing in clang 14).
struct Where {
  const char* file;
  int line;
};

// The order in which the fibers of a block, and the blocks of a grid, are resumed. A kernel whose
// result depends on it has a race.
enum class Order { forward, reverse, shuffled };
void set_order(Order order);

void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& thread);
void block_barrier(Where where);
void warp_barrier(unsigned mask, Where where);
// Shows `mine` to the warp and reads what the given lane shows: two warp barriers.
void warp_exchange(unsigned mask, const void* mine, void* theirs, std::size_t bytes, unsigned lane,
                   Where where);
unsigned warp_ballot(unsigned mask, bool predicate, Where where);
// Shows `mine`, of at most 32 bytes, to the warp and reads what all 32 lanes show.
void warp_gather(const void* mine, void* all, std::size_t bytes, Where where);
unsigned lane();          // of the calling thread, 0..31
unsigned thread_index();  // of the calling thread in its block
void forget_copies();     // what the block before had under way [ptx.cpp]

// The dynamic shared memory that a kernel may ask for: 48 KiB, or what cudaFuncSetAttribute
// allowed.
void allow_shared_bytes(const void* kernel, std::size_t bytes);
std::size_t allowed_shared_bytes(const void* kernel);
bool launchable(dim3 grid, dim3 block);
inline constexpr std::size_t largest_shared_bytes = 227 * 1024;  // of a block on sm_90

}  // namespace cuda_emulator

// Runtime API

using cudaStream_t = struct CUstream_st*;
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes;
  cudaStream_t stream;
};

const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaMalloc(void** memory, std::size_t bytes);  // filled with NaN
cudaError_t cudaFree(void* memory);
cudaError_t cudaMallocHost(void** memory, std::size_t bytes);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaDeviceSynchronize();

#include <emulated_machine.h>

template <typename... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute, int bytes) {
  if (bytes < 0 || std::size_t(bytes) > cuda_emulator::largest_shared_bytes)
    return cudaErrorInvalidValue;
  cuda_emulator::allow_shared_bytes(reinterpret_cast<const void*>(kernel), std::size_t(bytes));
  return cudaSuccess;
}

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments... arguments) {
  if (cuda_emulator::machine().failure != cudaSuccess) return cuda_emulator::machine().failure;
  if (!cuda_emulator::launchable(config->gridDim, config->blockDim))
    return cudaErrorInvalidConfiguration;
  if (config->dynamicSmemBytes >
      cuda_emulator::allowed_shared_bytes(reinterpret_cast<const void*>(kernel)))
    return cudaErrorInvalidValue;
  cuda_emulator::send(config->stream, [launch = *config, kernel, arguments...] {
    cuda_emulator::run_grid(launch.gridDim, launch.blockDim, launch.dynamicSmemBytes,
                            [&] { kernel(arguments...); });
  });
  return cudaSuccess;
}

// Device functions

inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  cuda_emulator::block_barrier({file, line});
}

inline void __syncwarp(unsigned mask = 0xffffffffu, const char* file = __builtin_FILE(),
                       int line = __builtin_LINE()) {
  cuda_emulator::warp_barrier(mask, {file, line});
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, const char* file = __builtin_FILE(),
              int line = __builtin_LINE()) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 16);
  T other = value;
  cuda_emulator::warp_exchange(mask, &value, &other, sizeof(T), unsigned(source) % 32,
                               {file, line});
  return other;
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) {
  return __shfl_sync(mask, value, int(cuda_emulator::lane() ^ unsigned(lane_mask)), file, line);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, const char* file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
  return cuda_emulator::warp_ballot(mask, predicate != 0, {file, line});
}

inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }

inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __clz(int bits) { return bits == 0 ? 32 : __builtin_clz(unsigned(bits)); }
