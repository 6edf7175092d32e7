#include "kernels/launch_graph.hpp"

#include "kernels/cuda/status.hpp"

namespace metascale::cuda {

struct Graph {
  cudaGraphExec_t executable = nullptr;
};

void DestroyGraph::operator()(Graph* graph) const noexcept {
  cudaGraphExecDestroy(graph->executable);
  delete graph;
}

namespace {

struct DestroyRecord {
  void operator()(cudaGraph_t graph) const noexcept { cudaGraphDestroy(graph); }
};
using Record = std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, DestroyRecord>;

constexpr const char* what = "the launches of a step were not recorded as a CUDA graph";

Record recorded(CUstream_st* stream, const std::function<void()>& work) {
  cudaGraph_t graph = nullptr;
  expect_success(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), what);
  try {
    work();
  } catch (...) {
    cudaStreamEndCapture(stream, &graph);
    const Record unfinished(graph);
    throw;
  }
  expect_success(cudaStreamEndCapture(stream, &graph), what);
  return Record(graph);
}

}  // namespace

GraphPointer captured(const CudaQueue& queue, const std::function<void()>& work) {
  const Record record = recorded(queue.stream, work);
  GraphPointer graph(new Graph);
  expect_success(cudaGraphInstantiate(&graph->executable, record.get(), 0), what);
  return graph;
}

void replay(const Graph& graph, const CudaQueue& queue) {
  expect_success(cudaGraphLaunch(graph.executable, queue.stream), "a CUDA graph was not launched");
}

}  // namespace metascale::cuda
