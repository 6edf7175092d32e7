// Conformance of the communicator of GPUs: the same text, with one rank on one GPU (label gpu).
#include <catch2/catch.hpp>

#include "kernels/cuda/memory.hpp"
#include "kernels/gpu.hpp"
#include "kernels/gpu_ranks.hpp"
#include "tests/ranks/communicator_cases.hpp"

namespace metascale {
namespace {

using namespace testing;

struct OneGpu {
  static Queue& queue() {
    static Gpu gpu;
    static Queue queue{.device = Device::cuda, .cuda = gpu.queue()};
    return queue;
  }
  static Communicator& ranks() {
    static SingleCommunicator host;
    static const std::unique_ptr<Communicator> gpus = connect_gpus(queue(), host);
    return *gpus;
  }
  class Memory {
   public:
    explicit Memory(std::size_t bytes) : memory_(cuda::allocate(bytes)), bytes_(bytes) {}
    void* data() const { return memory_.get(); }
    void write(const void* source) {
      cuda::copy_to_device(memory_.get(), source, bytes_, queue().cuda.stream);
    }
    void read(void* target) const {
      cuda::copy_to_host(target, memory_.get(), bytes_, queue().cuda.stream);
    }

   private:
    cuda::DeviceMemory memory_;
    std::size_t bytes_;
  };
};

bool has_gpu() {
  try {
    gpu_info();
    return true;
  } catch (const Error& error) {
    WARN("skipped: " << error.what());
    return false;
  }
}

TEST_CASE("one GPU is a communicator that conforms") {
  if (!has_gpu()) return;
  const std::int64_t count = GENERATE(1, 3, 1000, 300'007);
  all_reduce_sums<OneGpu, float>(count);
  all_reduce_sums<OneGpu, double>(count);
  all_reduce_sums<OneGpu, bfloat16>(count);
  all_reduce_sums<OneGpu, std::int32_t>(count);
  every_rank_has_the_same_bits<OneGpu>(count);
  reduce_scatter_then_all_gather_is_all_reduce<OneGpu>(count);
  all_gather_moves_bits<OneGpu>(count);
  broadcast_comes_from_its_root<OneGpu>(0);
  max_takes_the_greatest<OneGpu>();
  operations_are_done_in_the_order_they_were_begun<OneGpu>();
}

}  // namespace
}  // namespace metascale
