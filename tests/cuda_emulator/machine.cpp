// The bodies behind include/emulated_machine.h, and the emulated memory.
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <unordered_map>

struct CUevent_st {
  std::chrono::steady_clock::time_point when;
};
struct CUstream_st {};

namespace {

constexpr int runtime_version = 13000;

cuda_emulator::Machine emulated;
std::unordered_map<void*, std::size_t> allocated;  // bytes
std::size_t used = 0;

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

}  // namespace

cuda_emulator::Machine& cuda_emulator::machine() { return emulated; }

void cuda_emulator::expect_writes_inside_allocations() {
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
  properties->major = 9;
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
  const auto found = allocated.find(memory);
  if (found == allocated.end()) return cudaErrorInvalidValue;
  used -= found->second;
  allocated.erase(found);
  ::operator delete(guard_before(memory), std::align_val_t(256));
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  return status_of_driver();
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status) {
  *status = emulated.is_capturing ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  event->when = std::chrono::steady_clock::now();
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  const std::chrono::duration<float, std::milli> elapsed = end->when - begin->when;
  *milliseconds = elapsed.count();
  return cudaSuccess;
}
