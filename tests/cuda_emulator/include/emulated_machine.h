// The words of CUDA's runtime that ask for the machine: devices, memory, streams and events.
// Included by cuda_runtime.h. Tests change machine() to meet a computer without a GPU, with too old
// a driver, with little memory.
#pragma once

#include <cstddef>
#include <functional>

enum { cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2 };
enum cudaStreamCaptureStatus { cudaStreamCaptureStatusNone = 0, cudaStreamCaptureStatusActive = 1 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
using cudaEvent_t = struct CUevent_st*;
using cudaGraph_t = struct CUgraph_st*;
using cudaGraphExec_t = struct CUgraphExec_st*;

struct cudaDeviceProp {
  char name[256];
  std::size_t totalGlobalMem;
  int major, minor, multiProcessorCount;
};
struct cudaFuncAttributes {
  int numRegs;
};

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDeviceGetPCIBusId(char* id, int bytes, int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status);

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end);

namespace cuda_emulator {

struct Machine {
  int devices = 1;
  int major = 9;               // of the architecture
  int driver_version = 13000;  // 1000 major + 10 minor; the emulated runtime is 13000
  bool has_kernels = true;     // this program was compiled for the device's architecture
  bool is_capturing = false;   // every stream
  std::size_t memory_bytes = std::size_t(128) << 30;  // sanitizers end the program for more
  cudaError_t failure = cudaSuccess;  // what waits, launches and products answer: a GPU lost midway
  int allocations = 0;                // so far
  int graph_launches = 0;             // so far
  int waits = 0;                      // of the host for a stream, so far
};
Machine& machine();

// Work sent to a stream: done when somebody waits for it, as late as CUDA may; kept where the
// stream is being captured. Without a stream it is done now.
void send(cudaStream_t stream, std::function<void()> work);

// Throws where a kernel has written just before or behind an allocation (under AddressSanitizer,
// which sees every access outside, nothing is left to do).
void expect_writes_inside_allocations();

}  // namespace cuda_emulator

template <typename... Parameters>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, void (*)(Parameters...)) {
  attributes->numRegs = 1;
  return cuda_emulator::machine().has_kernels ? cudaSuccess : cudaErrorNoKernelImageForDevice;
}
