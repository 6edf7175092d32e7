// The bodies behind include/emulated_machine.h, and the emulated memory.
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

struct CUevent_st {
  std::chrono::steady_clock::time_point when;
};
struct CUgraph_st {
  std::vector<std::function<void()>> work;
  bool is_valid = true;
};
struct CUgraphExec_st : CUgraph_st {};
struct CUstream_st {
  std::unique_ptr<CUgraph_st> captured;  // while it is being captured
  std::deque<std::function<void()>> waiting;
  std::exception_ptr failure;  // told to the next who waits
};

namespace {

constexpr int runtime_version = 13000;

cuda_emulator::Machine emulated;
std::unordered_map<void*, std::size_t> allocated;  // bytes
std::size_t used = 0;
std::unordered_set<void*> pinned;
std::unordered_set<CUstream_st*> streams;
CUstream_st* capturing = nullptr;  // the stream that this thread captures

// Bytes before and behind every allocation that no kernel may change. AddressSanitizer sees every
// access there by itself, if nothing of ours is in the way.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t guard = 0;
#else
constexpr std::size_t guard = 256;
#endif
constexpr int guard_value = 0x5a;

unsigned char* guard_before(void* memory) { return static_cast<unsigned char*>(memory) - guard; }
unsigned char* guard_behind(void* memory, std::size_t bytes) {
  return static_cast<unsigned char*>(memory) + bytes;
}

bool mend_guard(unsigned char* begin) {  // whether it was damaged
  const bool damaged =
      std::any_of(begin, begin + guard, [](unsigned char byte) { return byte != guard_value; });
  std::memset(begin, guard_value, guard);
  return damaged;
}

// What every call answers that asks for a device.
cudaError_t status_of_driver() {
  if (emulated.driver_version < runtime_version) return cudaErrorInsufficientDriver;
  return emulated.devices > 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t status_of(int device) {
  const cudaError_t status = status_of_driver();
  if (status != cudaSuccess) return status;
  return device >= 0 && device < emulated.devices ? cudaSuccess : cudaErrorInvalidDevice;
}

// What ends the capture under way: a call that waits, or that allocates.
bool invalidates_capture() {
  if (capturing) capturing->captured->is_valid = false;
  return capturing != nullptr;
}

// A stream that failed does nothing more until somebody was told.
void carry_out(CUstream_st& stream) {
  if (stream.failure) stream.waiting.clear();
  while (!stream.waiting.empty()) {
    const auto work = std::move(stream.waiting.front());
    stream.waiting.pop_front();
    try {
      work();
    } catch (...) {
      stream.failure = std::current_exception();
      stream.waiting.clear();
    }
  }
}

void wait_for_all() {
  ++emulated.waits;
  for (CUstream_st* stream : streams) carry_out(*stream);
}

void wait_for(CUstream_st* stream) {
  ++emulated.waits;
  if (!stream) return;  // what is sent to no stream is done at once
  carry_out(*stream);
  if (stream->failure) std::rethrow_exception(std::exchange(stream->failure, nullptr));
}

}  // namespace

cuda_emulator::Machine& cuda_emulator::machine() { return emulated; }

void cuda_emulator::expect_writes_inside_allocations() {
  for (CUstream_st* stream : streams) carry_out(*stream);
  for (const auto& [memory, bytes] : allocated) {
    const bool before = mend_guard(guard_before(memory));
    const bool behind = mend_guard(guard_behind(memory, bytes));
    if (before || behind)
      throw std::runtime_error(std::string("a kernel wrote ") + (before ? "before" : "behind") +
                               " an allocation of " + std::to_string(bytes) + " bytes");
  }
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = emulated.devices;
  return status_of_driver();
}

cudaError_t cudaSetDevice(int device) { return status_of(device); }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "emulated GPU");
  properties->totalGlobalMem = emulated.memory_bytes;
  properties->major = emulated.major;
  properties->multiProcessorCount = 1;
  return status_of(device);
}

cudaError_t cudaDeviceGetPCIBusId(char* id, int bytes, int device) {
  std::snprintf(id, std::size_t(bytes), "0000:%02d:00.0", device);
  return status_of(device);
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = emulated.driver_version;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = runtime_version;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = emulated.memory_bytes;
  *free = used < *total ? *total - used : 0;
  return status_of_driver();
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  *memory = nullptr;
  if (invalidates_capture()) return cudaErrorStreamCaptureUnsupported;
  if (bytes > emulated.memory_bytes || used > emulated.memory_bytes - bytes)
    return cudaErrorMemoryAllocation;
  void* whole = ::operator new(bytes + 2 * guard, std::align_val_t(256), std::nothrow);
  if (!whole) return cudaErrorMemoryAllocation;
  *memory = static_cast<unsigned char*>(whole) + guard;
  std::memset(*memory, 0xff, bytes);
  mend_guard(guard_before(*memory));
  mend_guard(guard_behind(*memory, bytes));
  allocated[*memory] = bytes;
  used += bytes;
  ++emulated.allocations;
  return cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  if (!memory) return cudaSuccess;
  if (invalidates_capture()) return cudaErrorStreamCaptureUnsupported;
  const auto found = allocated.find(memory);
  if (found == allocated.end()) return cudaErrorInvalidValue;
  wait_for_all();
  used -= found->second;
  allocated.erase(found);
  ::operator delete(guard_before(memory), std::align_val_t(256));
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  *memory = nullptr;
  if (invalidates_capture()) return cudaErrorStreamCaptureUnsupported;
  *memory = ::operator new(bytes, std::align_val_t(256), std::nothrow);
  if (!*memory) return cudaErrorMemoryAllocation;
  pinned.insert(*memory);
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* memory) {
  if (!memory) return cudaSuccess;
  if (invalidates_capture()) return cudaErrorStreamCaptureUnsupported;
  // CUDA does not promise to wait: a copy that was sent may still come, to memory that is gone.
  if (pinned.erase(memory) == 0) return cudaErrorInvalidValue;
  ::operator delete(memory, std::align_val_t(256));
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  streams.insert(*stream);
  return status_of_driver();
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  carry_out(*stream);
  streams.erase(stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = emulated.is_capturing || (stream && stream->captured) ? cudaStreamCaptureStatusActive
                                                                  : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

void cuda_emulator::send(cudaStream_t stream, std::function<void()> work) {
  if (!stream)
    work();
  else if (stream->captured)
    stream->captured->work.push_back(std::move(work));
  else
    stream->waiting.push_back(std::move(work));
}

// Ordinary memory of the host is read and written as late as pinned memory.
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  cuda_emulator::send(stream, [=] {
    if (bytes > 0) std::memcpy(to, from, bytes);
  });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  cuda_emulator::send(stream, [=] { std::memset(memory, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (invalidates_capture()) return cudaErrorStreamCaptureUnsupported;
  wait_for(stream);
  return emulated.failure;
}

cudaError_t cudaDeviceSynchronize() {
  if (invalidates_capture()) return cudaErrorStreamCaptureUnsupported;
  wait_for_all();
  return emulated.failure;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (!stream || capturing) return cudaErrorStreamCaptureUnsupported;
  stream->captured = std::make_unique<CUgraph_st>();
  capturing = stream;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (!stream || capturing != stream) return cudaErrorInvalidValue;
  capturing = nullptr;
  const std::unique_ptr<CUgraph_st> made = std::move(stream->captured);
  if (!made->is_valid) return cudaErrorStreamCaptureInvalidated;
  *graph = new CUgraph_st(*made);
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  *executable = new CUgraphExec_st{*graph};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  ++emulated.graph_launches;
  for (const auto& work : executable->work) cuda_emulator::send(stream, work);
  return emulated.failure;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  for (CUstream_st* stream : streams) carry_out(*stream);  // of what was recorded
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  cuda_emulator::send(stream, [=] { event->when = std::chrono::steady_clock::now(); });
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t) {
  wait_for_all();
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  const std::chrono::duration<float, std::milli> elapsed = end->when - begin->when;
  *milliseconds = elapsed.count();
  return cudaSuccess;
}
