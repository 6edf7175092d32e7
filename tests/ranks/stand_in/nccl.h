// As much of NCCL as kernels/cuda/nccl_communicator.cpp calls, without a GPU.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

struct ncclComm;
using ncclComm_t = ncclComm*;
enum ncclResult_t { ncclSuccess = 0, ncclSystemError = 2, ncclInProgress = 7 };
enum ncclDataType_t { ncclFloat32, ncclFloat64, ncclBfloat16, ncclInt32 };
enum ncclRedOp_t { ncclSum, ncclMax };
struct ncclUniqueId {
  char internal[128];
};
struct ncclConfig_t {
  int blocking;
};
#define NCCL_CONFIG_INITIALIZER \
  { 1 }

ncclResult_t ncclAnswer();  // the test's: to every operation, and to who asks how it stands
void ncclAborted();         // the test's

inline const char* ncclGetErrorString(ncclResult_t) { return "an error of NCCL"; }
inline ncclResult_t ncclGetUniqueId(ncclUniqueId*) { return ncclSuccess; }
inline ncclResult_t ncclCommInitRankConfig(ncclComm_t* ranks, int, ncclUniqueId, int,
                                           ncclConfig_t*) {
  static char here;
  *ranks = reinterpret_cast<ncclComm_t>(&here);
  return ncclSuccess;
}
inline ncclResult_t ncclCommAbort(ncclComm_t) {
  ncclAborted();
  return ncclSuccess;
}
inline ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* result) {
  *result = ncclAnswer();
  return ncclSuccess;
}
inline ncclResult_t ncclGroupStart() { return ncclSuccess; }
inline ncclResult_t ncclGroupEnd() { return ncclSuccess; }
inline ncclResult_t ncclAllReduce(const void*, void*, std::size_t, ncclDataType_t, ncclRedOp_t,
                                  ncclComm_t, cudaStream_t) {
  return ncclAnswer();
}
inline ncclResult_t ncclReduce(const void*, void*, std::size_t, ncclDataType_t, ncclRedOp_t, int,
                               ncclComm_t, cudaStream_t) {
  return ncclAnswer();
}
inline ncclResult_t ncclReduceScatter(const void*, void*, std::size_t, ncclDataType_t, ncclRedOp_t,
                                      ncclComm_t, cudaStream_t) {
  return ncclAnswer();
}
inline ncclResult_t ncclAllGather(const void*, void*, std::size_t, ncclDataType_t, ncclComm_t,
                                  cudaStream_t) {
  return ncclAnswer();
}
inline ncclResult_t ncclBroadcast(const void*, void*, std::size_t, ncclDataType_t, int, ncclComm_t,
                                  cudaStream_t) {
  return ncclAnswer();
}
