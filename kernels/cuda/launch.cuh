// The only way a kernel is launched: an ordinary, checked function call.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/status.hpp"

namespace metascale::cuda {

// Groups of `each` that hold `count` things: the extent of a grid.
inline unsigned groups(std::int64_t count, std::int64_t each) {
  const std::int64_t result = (count + each - 1) / each;
  if (result > 0x7fffffff)
    throw Error(concat("a grid of ", result,
                       " blocks is more than CUDA can launch; lower "
                       "training.micro_batch"),
                ExitCode::run_failed);
  return unsigned(result);
}

struct Grid {
  dim3 blocks, threads;
  std::size_t shared_bytes = 0;  // dynamic shared memory of a block
};

// A grid without blocks is an operator without elements: nothing is launched.
template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), const Grid& grid, cudaStream_t stream,
            Arguments... arguments) {
  constexpr std::size_t shared_without_asking = 48 * 1024;
  if (grid.blocks.x == 0 || grid.blocks.y == 0 || grid.blocks.z == 0) return;
  cudaError_t status = cudaSuccess;
  if (grid.shared_bytes > shared_without_asking)
    status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  int(grid.shared_bytes));
  cudaLaunchConfig_t config{};
  config.gridDim = grid.blocks;
  config.blockDim = grid.threads;
  config.dynamicSmemBytes = grid.shared_bytes;
  config.stream = stream;
  if (status == cudaSuccess)
    status = cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
  if (status == cudaSuccess) return;
  const std::string what =
      concat("kernel ", name, " was not launched (", grid.blocks.x, " x ", grid.blocks.y, " x ",
             grid.blocks.z, " blocks of ", grid.threads.x * grid.threads.y * grid.threads.z,
             " threads, ", grid.shared_bytes, " bytes of shared memory)");
  expect_success(status, what.c_str());
}

}  // namespace metascale::cuda
