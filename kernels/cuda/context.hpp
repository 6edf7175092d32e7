// What the operators on one GPU share: its stream, cuBLASLt with its workspace, the energy counter.
#pragma once

#include <vector>

#include "kernels/cuda/attention.hpp"
#include "kernels/cuda/energy.hpp"
#include "kernels/cuda/gemm.hpp"
#include "kernels/gpu.hpp"

namespace metascale::cuda {

class Context {
 public:
  explicit Context(const GpuOptions& options);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const GpuInfo& info() const { return info_; }
  CUstream_st* stream() const { return stream_.get(); }
  Gemms& gemms() { return gemms_; }
  CudnnAttention* cudnn_attention() const { return cudnn_attention_.get(); }
  const EnergyCounter& energy() const { return energy_; }

  // For a bias rounded to bf16, which lasts until the stream's next one. Throws Error{run_failed}
  // where it is longer than most_rounded_bias.
  std::byte* rounded_bias(std::int64_t elements);

  // What one operator's kernels leave for each other, until the stream's next such operator. More
  // than GpuOptions::scratch_bytes is made when it is first needed, never in the steady state.
  // Throws Error{run_failed} where there is no room.
  std::byte* scratch(std::size_t bytes);

 private:
  struct CloseStream {
    void operator()(CUstream_st* stream) const noexcept;
  };

  GpuInfo info_;
  std::unique_ptr<CUstream_st, CloseStream> stream_;
  Gemms gemms_;
  DeviceMemory rounded_bias_;
  // The last one is used; those that were too small stay: a CUDA graph may hold their addresses.
  std::vector<DeviceMemory> scratch_;
  std::size_t scratch_bytes_ = 0;
  CudnnAttentionPointer cudnn_attention_;
  EnergyCounter energy_;
};

// The context of a queue. Throws Error where it has none.
inline Context& context_of(const CudaQueue& queue) {
  if (!queue.context)
    throw Error(
        "CudaQueue.context is missing: matrix products need one; take the queue from Gpu::queue "
        "(kernels/gpu.hpp)");
  return *queue.context;
}

}  // namespace metascale::cuda
