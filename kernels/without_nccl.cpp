// Stands in for cuda/nccl_communicator.cpp where CUDA is not built, or NCCL was not found.
#include "kernels/gpu_ranks.hpp"

namespace metascale {

std::unique_ptr<Communicator> connect_gpus(const Queue&, Communicator&) {
  throw Error(
      "a run on several GPUs needs NCCL, which this program was built without; configure it with: "
      "cmake --preset cuda, on a machine with nccl.h",
      ExitCode::unavailable);
}

}  // namespace metascale
