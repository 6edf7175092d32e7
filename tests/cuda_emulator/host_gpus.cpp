// Emulated GPUs as one communicator: their memory is memory of the host, so that the ranks' own
// communicator moves it, once what was sent to the queue before is done. Linked in place of
// kernels/without_nccl.cpp.
#include "kernels/cuda/memory.hpp"
#include "kernels/gpu_ranks.hpp"

namespace metascale {
namespace {

class HostGpus final : public Communicator {
 public:
  HostGpus(const Queue& queue, Communicator& host) : host_(host), queue_(queue.cuda.stream) {}

  int rank() const override { return host_.rank(); }
  int size() const override { return host_.size(); }
  int ranks_here() const override { return host_.ranks_here(); }
  int rank_here() const override { return host_.rank_here(); }
  const char* name() const override { return "emulated GPUs"; }

  void all_reduce(const Tensor& values, Reduction reduction) override {
    cuda::finish(queue_);
    host_.all_reduce(values, reduction);
  }
  void reduce_scatter(const Tensor& values, Reduction reduction) override {
    cuda::finish(queue_);
    host_.reduce_scatter(values, reduction);
  }
  void all_gather(const Tensor& values) override {
    cuda::finish(queue_);
    host_.all_gather(values);
  }
  void broadcast(const Tensor& values, int root) override {
    cuda::finish(queue_);
    host_.broadcast(values, root);
  }
  void barrier() override {
    cuda::finish(queue_);
    host_.barrier();
  }
  void wait() override { host_.wait(); }
  void keep_others_waiting(const std::function<void()>& work) override {
    wait();
    host_.keep_others_waiting(work);
  }
  double watch(std::chrono::steady_clock::time_point start) override { return host_.watch(start); }
  double timeout() const override { return host_.timeout(); }
  void abort(const std::string& why, ExitCode code) override { host_.abort(why, code); }

 private:
  Communicator& host_;
  CUstream_st* const queue_;
};

}  // namespace

std::unique_ptr<Communicator> connect_gpus(const Queue& queue, Communicator& host) {
  return std::make_unique<HostGpus>(queue, host);
}

}  // namespace metascale
