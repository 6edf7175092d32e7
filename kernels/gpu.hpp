// One GPU as the program sees it: what it is, a queue on it, its energy. In a program linked
// without CUDA the same calls throw Error{unavailable}.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "kernels/queue.hpp"

namespace metascale {

struct GpuInfo {
  std::string name;          // "NVIDIA H200"
  int major = 0, minor = 0;  // compute capability: 9, 0 is sm_90
  int multiprocessors = 0;
  std::size_t memory_bytes = 0;  // all of it
  int driver_version = 0;        // 1000 major + 10 minor of the newest CUDA that the driver knows
  int runtime_version = 0;       // of the CUDA that this program was built with
  std::string pci_bus_id;        // "0000:17:00.0"
};

struct GpuOptions {
  int index = 0;  // of the GPUs that CUDA_VISIBLE_DEVICES leaves
  std::size_t workspace_bytes = std::size_t(64) << 20;  // of the matrix products
  std::size_t scratch_bytes = std::size_t(8) << 20;     // more is made where an operator needs it
  // Where timed choices of matrix products are kept; "": none are timed.
  std::string algorithm_file;
};

// The longest bias that is rounded to bf16 at a time, in elements.
constexpr std::int64_t most_rounded_bias = std::int64_t(1) << 20;

// Bytes of its device's memory that a Gpu takes when it is made; CUDA's own are not among them.
constexpr std::size_t workspaces_of_gpu(const GpuOptions& options = {}) {
  return options.workspace_bytes + options.scratch_bytes +
         std::size_t(most_rounded_bias) * size_of(Dtype::bf16);
}

struct GpuMemory {
  std::size_t free_bytes = 0, total_bytes = 0;
};

namespace cuda {
bool is_linked();  // false: every other call throws
GpuInfo gpu_info(int index);
Context* create_context(const GpuOptions& options);
void destroy(Context* context) noexcept;
CudaQueue queue_of(Context& context);
const GpuInfo& info_of(const Context& context);
std::optional<double> joules_of(const Context& context);
const char* attention_of(const Context& context);
GpuMemory memory_of(const Context& context);
void wait_for(Context& context);
}  // namespace cuda

// Throws Error{unavailable}: no such GPU, a driver older than the program's CUDA, a GPU that it was
// not compiled for.
inline GpuInfo gpu_info(int index = 0) { return cuda::gpu_info(index); }

// A stream on a GPU with what the operators share there. For one thread at a time.
class Gpu {
 public:
  // Throws what gpu_info throws, and Error{run_failed} where the workspace does not fit.
  explicit Gpu(const GpuOptions& options = {}) : context_(cuda::create_context(options)) {}
  ~Gpu() { cuda::destroy(context_); }
  Gpu(Gpu&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
  Gpu& operator=(Gpu&& other) noexcept {
    std::swap(context_, other.context_);
    return *this;
  }

  CudaQueue queue() const { return cuda::queue_of(*context_); }
  GpuInfo info() const { return cuda::info_of(*context_); }
  GpuMemory memory() const { return cuda::memory_of(*context_); }
  // Since the driver was loaded; missing where the GPU or its driver does not count it.
  std::optional<double> joules() const { return cuda::joules_of(*context_); }
  // Which body attention has: "cudnn" or "own".
  const char* attention() const { return cuda::attention_of(*context_); }
  // Until everything sent to the stream is done. Throws Error{run_failed} with what went wrong on
  // the GPU.
  void wait() const { cuda::wait_for(*context_); }

 private:
  cuda::Context* context_ = nullptr;
};

}  // namespace metascale
