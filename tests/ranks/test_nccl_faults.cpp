// The communicator of GPUs where one of them does not come to an end: over stand-ins for CUDA and
// NCCL, since what is tested is whom it asks then, and for how long it waits.
#include <nccl.h>

#include <catch2/catch.hpp>

#include "kernels/cuda/memory.hpp"
#include "kernels/gpu_ranks.hpp"

namespace {

struct Gpus {
  cudaError_t stream = cudaErrorNotReady;
  ncclResult_t answer = ncclSuccess;
  int aborted = 0;
} gpus;

}  // namespace

cudaError_t cudaStreamQuery(cudaStream_t) { return gpus.stream; }
ncclResult_t ncclAnswer() { return gpus.answer; }
void ncclAborted() { ++gpus.aborted; }

namespace metascale {
namespace cuda {

std::byte* allocate(std::size_t bytes) { return new std::byte[bytes]; }
void release(std::byte* memory) noexcept { delete[] memory; }
void clear(std::byte*, std::size_t, CUstream_st*) {}

}  // namespace cuda

namespace {

// Rank 0 of two. What it learns of the other is told by `learns`, which counts its calls.
class Host final : public Communicator {
 public:
  explicit Host(std::function<double(int)> learns) : learns_(std::move(learns)) { gpus = {}; }
  int rank() const override { return 0; }
  int size() const override { return 2; }
  int ranks_here() const override { return 2; }
  int rank_here() const override { return 0; }
  const char* name() const override { return "host"; }
  void all_reduce(const Tensor&, Reduction) override {}
  void reduce_scatter(const Tensor&, Reduction) override {}
  void all_gather(const Tensor&) override {}
  void broadcast(const Tensor&, int) override {}
  void barrier() override { ++barriers; }
  void wait() override {}
  void keep_others_waiting(const std::function<void()>& work) override { work(); }
  double watch(std::chrono::steady_clock::time_point start) override {
    if (calls == 0) first_start = start;
    CHECK(start == first_start);  // of one wait
    return learns_(++calls);
  }
  double timeout() const override { return 3; }
  void abort(const std::string&, ExitCode) override {}

  int barriers = 0, calls = 0;
  std::chrono::steady_clock::time_point first_start;

 private:
  std::function<double(int)> learns_;
};

double lost(int calls) {
  if (calls == 3) throw RankLost("rank 1 died", {1});
  return 0;
}

TEST_CASE("a rank that is lost ends the wait for the GPUs, without a second time-out") {
  Host host(lost);
  const Queue queue;
  const auto ranks = connect_gpus(queue, host);
  float value = 0;
  const Tensor tensor{.data = &value, .shape = {1}, .dtype = Dtype::f32};
  SECTION("in a wait") {
    ranks->all_reduce(tensor, Reduction::sum);
    CHECK_THROWS_AS(ranks->wait(), RankLost);
  }
  SECTION("in an operation that does not begin") {
    gpus.answer = ncclInProgress;
    CHECK_THROWS_AS(ranks->all_reduce(tensor, Reduction::sum), RankLost);
  }
  CHECK(host.calls == 3);
  CHECK(host.barriers == 0);
}

TEST_CASE("GPUs that are not through though all ranks live end the run after the host's time-out") {
  Host host([](int calls) { return calls == 4 ? 3.5 : 2.5; });
  const Queue queue;
  const auto ranks = connect_gpus(queue, host);
  CHECK(ranks->timeout() == 3);
  CHECK_THROWS_WITH(ranks->wait(), Catch::Contains("though all ranks answer: no end after 3 s"));
  CHECK(host.calls == 4);
  CHECK(host.barriers == 1);
  CHECK(gpus.aborted == 1);
}

TEST_CASE("an error that NCCL finds itself is told at once, unless a rank is lost") {
  Host host([](int) { return 0.; });
  const Queue queue;
  const auto ranks = connect_gpus(queue, host);
  gpus.answer = ncclSystemError;
  CHECK_THROWS_WITH(ranks->wait(), Catch::Contains("NCCL failed in waiting on rank 0"));
  CHECK(host.barriers == 1);
}

TEST_CASE("a wait for GPUs that are through returns") {
  Host host([](int calls) {
    if (calls == 2) gpus.stream = cudaSuccess;
    return 0.;
  });
  const Queue queue;
  const auto ranks = connect_gpus(queue, host);
  CHECK_NOTHROW(ranks->wait());
  CHECK(host.calls == 2);
}

}  // namespace
}  // namespace metascale
