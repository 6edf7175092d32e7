// What a GPU is sent again and again, as one CUDA graph: recorded once, replayed without the host's
// part of every launch.
#pragma once

#include <functional>
#include <memory>

#include "kernels/queue.hpp"

namespace metascale {

namespace cuda {
struct Graph;
struct DestroyGraph {
  void operator()(Graph* graph) const noexcept;
};
using GraphPointer = std::unique_ptr<Graph, DestroyGraph>;

// Throws Error{run_failed} where the stream cannot be captured, or `work` waits for the GPU or asks
// it for memory; what `work` throws is thrown on. The stream is then as it was before.
GraphPointer captured(const CudaQueue& queue, const std::function<void()>& work);
void replay(const Graph& graph, const CudaQueue& queue);
}  // namespace cuda

// Work whose launches are the same on every run: operands at the same addresses, no answer read in
// between. The first run sends it as it is, so that everything that is made once (plans of
// products, workspaces) is made; the second records it; from then on the record is replayed, with
// the same bits.
class LaunchGraph {
 public:
  void run(const CudaQueue& queue, const std::function<void()>& work) {
    if (!has_run_) {
      work();
      has_run_ = true;
      return;
    }
    if (!graph_) graph_ = cuda::captured(queue, work);
    cuda::replay(*graph_, queue);
  }
  bool is_recorded() const { return graph_ != nullptr; }

 private:
  bool has_run_ = false;
  cuda::GraphPointer graph_;
};

}  // namespace metascale
