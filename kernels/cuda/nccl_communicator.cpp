// Ranks on GPUs, over NCCL. Operations go to a stream of their own, each behind an event of the
// queue's stream, so that they run beside the rest of the backward.
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "kernels/cuda/memory.hpp"
#include "kernels/cuda/status.hpp"
#include "kernels/gpu_ranks.hpp"

namespace metascale {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto poll = std::chrono::microseconds(20);
constexpr auto watch_pause = std::chrono::milliseconds(50);

ncclDataType_t type_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32: return ncclFloat32;
    case Dtype::f64: return ncclFloat64;
    case Dtype::bf16: return ncclBfloat16;
    case Dtype::i32: return ncclInt32;
  }
  return ncclFloat32;
}

ncclRedOp_t operation_of(Reduction reduction) {
  return reduction == Reduction::sum ? ncclSum : ncclMax;
}

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(const Queue& queue, Communicator& host);
  ~NcclCommunicator() override;

  int rank() const override { return host_.rank(); }
  int size() const override { return host_.size(); }
  int ranks_here() const override { return host_.ranks_here(); }
  int rank_here() const override { return host_.rank_here(); }
  const char* name() const override { return "nccl"; }

  void all_reduce(const Tensor& values, Reduction reduction) override;
  void reduce_scatter(const Tensor& values, Reduction reduction) override;
  void all_gather(const Tensor& values) override;
  void broadcast(const Tensor& values, int root) override;
  void barrier() override;
  void wait() override;
  void keep_others_waiting(const std::function<void()>& work) override {
    wait();
    host_.keep_others_waiting(work);
  }
  double watch(Clock::time_point start) override { return host_.watch(start); }
  double timeout() const override { return host_.timeout(); }
  void abort(const std::string& why, ExitCode code) override { host_.abort(why, code); }

 private:
  void connect();
  void order_after_queue();
  void settle(ncclResult_t result, const char* what);
  void keep_watch(Clock::time_point start, const char* what);
  [[noreturn]] void fail(const char* what, const std::string& why);
  template <typename Body>
  void each_part(const Tensor& values, const char* what, Body&& body);

  Communicator& host_;
  CUstream_st* const queue_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t event_ = nullptr;
  ncclComm_t ranks_ = nullptr;
  cuda::DeviceMemory word_;  // of a barrier
  Clock::time_point watched_;
};

NcclCommunicator::NcclCommunicator(const Queue& queue, Communicator& host)
    : host_(host), queue_(queue.cuda.stream), word_(cuda::allocate(sizeof(float))) {
  cuda::expect_success(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking),
                       "a stream for the ranks was not made");
  cuda::expect_success(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming),
                       "an event for the ranks was not made");
  cuda::clear(word_.get(), sizeof(float), stream_);
  connect();
}

NcclCommunicator::~NcclCommunicator() {
  if (ranks_) ncclCommAbort(ranks_);  // nothing is under way after wait(); this never blocks
  if (event_) cudaEventDestroy(event_);
  if (stream_) cudaStreamDestroy(stream_);
}

// Rank 0 makes the id by which the ranks find each other; host_ carries it.
void NcclCommunicator::connect() {
  ncclUniqueId id{};
  if (rank() == 0) settle(ncclGetUniqueId(&id), "the id of the ranks");
  const std::string text = broadcast_text(host_, std::string(id.internal, sizeof id.internal), 0);
  std::memcpy(id.internal, text.data(), sizeof id.internal);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;  // so that a rank that is lost cannot hold us for ever
  settle(ncclCommInitRankConfig(&ranks_, size(), id, rank(), &config), "connecting the GPUs");
}

void NcclCommunicator::order_after_queue() {
  cuda::expect_success(cudaEventRecord(event_, queue_), "an event was not recorded");
  cuda::expect_success(cudaStreamWaitEvent(stream_, event_, 0), "a stream does not wait");
}

// A call returns at once and may be in progress still; the next must not come before it is through.
void NcclCommunicator::settle(ncclResult_t result, const char* what) {
  const auto start = Clock::now();
  while (result == ncclInProgress) {
    keep_watch(start, what);
    std::this_thread::sleep_for(poll);
    if (ranks_ && ncclCommGetAsyncError(ranks_, &result) != ncclSuccess) result = ncclSystemError;
  }
  if (result != ncclSuccess) fail(what, ncclGetErrorString(result));
}

// NCCL waits for a rank that is lost for ever; the ranks of the host know it, and throw RankLost.
void NcclCommunicator::keep_watch(Clock::time_point start, const char* what) {
  const auto now = Clock::now();
  if (now - std::max(start, watched_) < watch_pause) return;  // most waits are shorter
  watched_ = now;
  if (host_.watch(start) > host_.timeout())
    fail(what, concat("no end after ", host_.timeout(), " s"));
}

// Where NCCL found out before the host did, RankLost comes from here.
void NcclCommunicator::fail(const char* what, const std::string& why) {
  if (ranks_) ncclCommAbort(ranks_);
  ranks_ = nullptr;
  host_.barrier();
  host_.wait();
  throw Error(concat("NCCL failed in ", what, " on rank ", rank(),
                     ", though all ranks answer: ", why, "; NCCL_DEBUG=WARN tells more"),
              ExitCode::run_failed);
}

void NcclCommunicator::all_reduce(const Tensor& values, Reduction reduction) {
  order_after_queue();
  settle(ncclAllReduce(values.data, values.data, std::size_t(values.size()), type_of(values.dtype),
                       operation_of(reduction), ranks_, stream_),
         "all_reduce");
}

// Parts of different sizes: one operation for each of them, grouped. body gives what its call
// answered.
template <typename Body>
void NcclCommunicator::each_part(const Tensor& values, const char* what, Body&& body) {
  settle(ncclGroupStart(), what);
  ncclResult_t refused = ncclSuccess;
  for (int owner = 0; owner < size(); ++owner) {
    const Range part = part_of(values.size(), owner, size());
    auto* data =
        static_cast<std::byte*>(values.data) + std::size_t(part.begin) * size_of(values.dtype);
    if (part.size() == 0) continue;
    const ncclResult_t result = body(owner, data, std::size_t(part.size()));
    if (result != ncclSuccess && result != ncclInProgress) refused = result;
  }
  settle(ncclGroupEnd(), what);
  settle(refused, what);
}

void NcclCommunicator::reduce_scatter(const Tensor& values, Reduction reduction) {
  order_after_queue();
  const auto type = type_of(values.dtype);
  const auto operation = operation_of(reduction);
  if (values.size() % size() != 0)
    return each_part(values, "reduce_scatter", [&](int owner, std::byte* data, std::size_t count) {
      return ncclReduce(data, data, count, type, operation, owner, ranks_, stream_);
    });
  const std::size_t count = std::size_t(values.size() / size());
  auto* mine =
      static_cast<std::byte*>(values.data) + std::size_t(rank()) * count * size_of(values.dtype);
  settle(ncclReduceScatter(values.data, mine, count, type, operation, ranks_, stream_),
         "reduce_scatter");
}

void NcclCommunicator::all_gather(const Tensor& values) {
  order_after_queue();
  const auto type = type_of(values.dtype);
  if (values.size() % size() != 0)
    return each_part(values, "all_gather", [&](int owner, std::byte* data, std::size_t count) {
      return ncclBroadcast(data, data, count, type, owner, ranks_, stream_);
    });
  const std::size_t count = std::size_t(values.size() / size());
  const auto* mine = static_cast<const std::byte*>(values.data) +
                     std::size_t(rank()) * count * size_of(values.dtype);
  settle(ncclAllGather(mine, values.data, count, type, ranks_, stream_), "all_gather");
}

void NcclCommunicator::broadcast(const Tensor& values, int root) {
  order_after_queue();
  settle(ncclBroadcast(values.data, values.data, std::size_t(values.size()), type_of(values.dtype),
                       root, ranks_, stream_),
         "broadcast");
}

void NcclCommunicator::barrier() {
  all_reduce({.data = word_.get(), .shape = {1}, .dtype = Dtype::f32}, Reduction::sum);
}

void NcclCommunicator::wait() {
  const auto start = Clock::now();
  for (;;) {
    const cudaError_t status = cudaStreamQuery(stream_);
    if (status == cudaSuccess) return;
    if (status != cudaErrorNotReady)
      cuda::expect_success(status, "an operation between the ranks failed");
    ncclResult_t result = ncclSuccess;
    if (ncclCommGetAsyncError(ranks_, &result) != ncclSuccess) result = ncclSystemError;
    if (result != ncclSuccess && result != ncclInProgress)
      fail("waiting", ncclGetErrorString(result));
    keep_watch(start, "waiting");
    std::this_thread::sleep_for(poll);
  }
}

}  // namespace

std::unique_ptr<Communicator> connect_gpus(const Queue& queue, Communicator& host) {
  return std::make_unique<NcclCommunicator>(queue, host);
}

}  // namespace metascale
