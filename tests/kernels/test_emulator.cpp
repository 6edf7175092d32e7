// The emulator must notice what a GPU would silently get wrong: kernels with planted mistakes.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/launch.cuh"
#include "tests/kernels/cuda_device.hpp"

namespace metascale::cuda {
namespace {

constexpr int threads = 64;

std::vector<float> launched(void (*kernel)(float*), unsigned blocks = 1) {
  std::vector<float> out(blocks * std::size_t(threads), 0.0f);
  launch("kernel", kernel, {.blocks = blocks, .threads = threads, .shared_bytes = 256}, nullptr,
         out.data());
  return out;
}

std::string message_of(void (*kernel)(float*)) {
  try {
    launched(kernel);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

__global__ void sums_its_block(float* out) {
  const float sum = block_sum(float(threadIdx.x) + 1);
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

__global__ void divergent(float*) {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}

__global__ void one_lane_leaves_a_shuffle(float* out) {
  if (threadIdx.x == 7) __syncthreads();
  out[threadIdx.x] = warp_sum(1.0f);
}

__global__ void one_lane_has_returned(float* out) {
  if (threadIdx.x == 7) return;
  out[threadIdx.x] = warp_sum(1.0f);
}

__global__ void half_a_warp_shuffles(float* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_xor_sync(0xffffu, 1.0f, 1);
}

__global__ void reads_dynamic_shared_memory_unwritten(float* out) {
  out[threadIdx.x] = dynamic_shared<float>()[threadIdx.x];
}

__global__ void reads_the_block_before(float* out) {
  __shared__ float kept;
  if (blockIdx.x == 0) kept = 1;
  __syncthreads();
  out[blockIdx.x * blockDim.x + threadIdx.x] = kept;
}

__global__ void forgets_a_barrier(float* out) {
  __shared__ float message;
  if (threadIdx.x == 0) message = 42;
  out[blockIdx.x * blockDim.x + threadIdx.x] = message;  // a __syncthreads() is missing above
}

__global__ void uses_the_value_of_another_warp(float* out) {
  float* messages = dynamic_shared<float>();
  messages[threadIdx.x] = float(threadIdx.x);
  __syncwarp();  // not enough: the neighbour below may be in another warp
  out[threadIdx.x] = messages[(threadIdx.x + 32) % 64];
}

__global__ void writes_behind_its_shared_memory(float*) {
  dynamic_shared<float>()[threads + threadIdx.x] = 1;
}

[[maybe_unused]] __global__ void writes_one_element_too_far(float* out) {
  out[threadIdx.x + 1] = 1;
}
[[maybe_unused]] __global__ void writes_one_element_too_early(float* out) {
  *(out + threadIdx.x - 1) = 1;
}

__global__ void all_threads_write_one_place(float* out) {
  __shared__ float place;
  place = float(threadIdx.x);  // whose value stays is left to chance
  __syncthreads();
  out[threadIdx.x] = place;
}

__global__ void reads_what_another_block_writes(float* out) {
  const unsigned other = (blockIdx.x + 1) % gridDim.x;
  out[blockIdx.x * threads + threadIdx.x] = out[other * threads + threadIdx.x] + 1;
}

__global__ void throws(float*) { throw Error("thrown by a kernel"); }

__global__ void votes(float* out) {
  out[threadIdx.x] = float(__ffs(int(__ballot_sync(0xffffffffu, threadIdx.x % 32 >= 20))));
}

TEST_CASE("an emulated warp votes") {
  for (const float first : launched(votes)) CHECK(first == 21);
}

TEST_CASE("an emulated block sums over its threads") {
  for (const float sum : launched(sums_its_block, 2)) CHECK(sum == 64 * 65 / 2);
}

TEST_CASE("the emulator names both places of a divergent barrier") {
  const std::string message = message_of(divergent);
  CHECK_THAT(message, Catch::StartsWith("divergent barrier: thread 0 of block 0 waits at "));
  CHECK_THAT(message, Catch::Contains("thread 32 of block 0 waits at ") &&
                          Catch::Contains("test_emulator.cpp:"));
}

TEST_CASE("the emulator reports a deadlock") {
  CHECK_THAT(message_of(one_lane_leaves_a_shuffle), Catch::StartsWith("deadlock: thread 0"));
}

TEST_CASE("the emulator refuses a shuffle with a lane that has returned") {
  CHECK_THAT(message_of(one_lane_has_returned),
             Catch::Contains("reads from lane 7, which does not"));
}

TEST_CASE("the emulator refuses a shuffle of part of a warp") {
  CHECK_THAT(message_of(half_a_warp_shuffles), Catch::StartsWith("only whole warps are emulated"));
}

TEST_CASE("the emulator fills dynamic shared memory with NaN") {
  for (const float value : launched(reads_dynamic_shared_memory_unwritten))
    CHECK(std::isnan(value));
}

TEST_CASE("the emulator fills static shared memory with NaN before every block") {
  const std::vector<float> out = launched(reads_the_block_before, 2);
  CHECK(out[5] == 1);
  CHECK(std::isnan(out[threads + 5]));
}

TEST_CASE("the emulator shows a missing barrier by running threads in another order") {
  const std::vector<float> forward = launched(forgets_a_barrier);
  const testing::InOrder reverse(cuda_emulator::Order::reverse);
  CHECK(forward[5] == 42);
  CHECK(std::isnan(launched(forgets_a_barrier)[5]));
}

TEST_CASE("the emulator shows that a warp's barrier does not hold for the block") {
  CHECK(std::isnan(launched(uses_the_value_of_another_warp)[5]));
}

TEST_CASE("the emulator shows two writes to one place by running threads in another order") {
  const std::vector<float> forward = launched(all_threads_write_one_place);
  const testing::InOrder reverse(cuda_emulator::Order::reverse);
  CHECK(launched(all_threads_write_one_place) != forward);
}

TEST_CASE("the emulator shows that blocks wait for none of the others") {
  const std::vector<float> forward = launched(reads_what_another_block_writes, 2);
  const testing::InOrder reverse(cuda_emulator::Order::reverse);
  CHECK(launched(reads_what_another_block_writes, 2) != forward);
}

TEST_CASE("the emulator notices a block that writes behind its shared memory") {
  CHECK(message_of(writes_behind_its_shared_memory) ==
        "a block wrote behind its 256 bytes of dynamic shared memory");
  CHECK(message_of(sums_its_block) == "no error");
}

#if !defined(__SANITIZE_ADDRESS__)  // which ends the program at the first such access
TEST_CASE("the emulator notices a write outside of an allocation") {
  const auto message_over_device_memory = [](void (*kernel)(float*)) -> std::string {
    std::byte* memory = allocate(threads * sizeof(float));
    std::string message = "no error";
    try {
      launch("kernel", kernel, {.blocks = 1, .threads = threads}, nullptr,
             reinterpret_cast<float*>(memory));
    } catch (const std::exception& error) {
      message = error.what();
    }
    release(memory);
    return message;
  };
  CHECK(message_over_device_memory(writes_one_element_too_far) ==
        "a kernel wrote behind an allocation of 256 bytes");
  CHECK(message_over_device_memory(writes_one_element_too_early) ==
        "a kernel wrote before an allocation of 256 bytes");
  CHECK(message_over_device_memory(sums_its_block) == "no error");
}
#endif

TEST_CASE("the emulator shows memory of the host that changes behind a copy that was sent") {
  CUstream_st* const stream = testing::gpu_of_tests().queue().stream;
  const DeviceMemory device(allocate(sizeof(float)));
  float host = 1, received = 0;
  send_to_device(device.get(), reinterpret_cast<std::byte*>(&host), sizeof host, stream);
  host = 2;
  copy_to_host(&received, device.get(), sizeof received, stream);
  CHECK(received == 2);
  copy_to_device(device.get(), &host, sizeof host, stream);
  host = 3;
  copy_to_host(&received, device.get(), sizeof received, stream);
  CHECK(received == 2);
}

TEST_CASE("the emulator shows a result of a stream that nobody has waited for") {
  CUstream_st* const stream = testing::gpu_of_tests().queue().stream;
  const DeviceMemory device(allocate(sizeof(float)));
  const Buffer pinned = Buffer::pinned(sizeof(float));
  const auto* value = reinterpret_cast<const float*>(pinned.data());
  const float one = 1;
  copy_to_device(device.get(), &one, sizeof one, stream);
  send_to_host(pinned.data(), device.get(), sizeof one, stream);
  CHECK(*value == 0);
  finish(stream);
  CHECK(*value == 1);
}

TEST_CASE(
    "the emulator frees pinned memory without waiting for what was sent, and a buffer waits") {
  CUstream_st* const stream = testing::gpu_of_tests().queue().stream;
  bool was_run = false;
  const auto send = [&] {
    was_run = false;
    cuda_emulator::send(stream, [&] { was_run = true; });
  };
  void* memory = nullptr;
  REQUIRE(cudaMallocHost(&memory, 8) == cudaSuccess);
  send();
  CHECK(cudaFreeHost(memory) == cudaSuccess);
  CHECK_FALSE(was_run);
  finish(stream);
  CHECK(was_run);
  {
    const Buffer pinned = Buffer::pinned(sizeof(float));
    send();
  }
  CHECK(was_run);
}

TEST_CASE("an error inside a kernel that was sent to a stream is told to who waits, once") {
  CUstream_st* const stream = testing::gpu_of_tests().queue().stream;
  const DeviceMemory device(allocate(threads * sizeof(float)));
  const Grid grid{.blocks = 1, .threads = threads};
  CHECK_NOTHROW(launch("kernel", divergent, grid, stream, reinterpret_cast<float*>(device.get())));
  CHECK_THROWS_WITH(finish(stream), Catch::Contains("test_emulator.cpp"));
  CHECK_NOTHROW(finish(stream));
}

TEST_CASE("a right kernel gives equal bits in every order of threads and blocks") {
  const std::vector<float> forward = launched(sums_its_block, 3);
  const auto order = GENERATE(cuda_emulator::Order::reverse, cuda_emulator::Order::shuffled);
  const testing::InOrder other(order);
  CHECK(launched(sums_its_block, 3) == forward);
}

TEST_CASE("an error inside an emulated kernel arrives at its launch, and the next launch works") {
  CHECK(message_of(throws) == "thrown by a kernel");
  CHECK(launched(sums_its_block)[0] == 64 * 65 / 2);
}

TEST_CASE("a launch says the kernel, the grid and the reason where CUDA refuses it") {
  float out[1];
  CHECK_THROWS_WITH(
      launch("sums", sums_its_block, {.blocks = 1, .threads = 2048}, nullptr, out),
      "kernel sums was not launched (1 x 1 x 1 blocks of 2048 threads, 0 bytes of shared memory): "
      "invalid configuration argument");
  CHECK_THROWS_AS(launch("sums", sums_its_block,
                         {.blocks = 1, .threads = 64, .shared_bytes = 228 * 1024}, nullptr, out),
                  Error);
}

TEST_CASE("a launch asks for more than 48 KiB of shared memory where a kernel needs it") {
  std::vector<float> out(64);
  const Grid grid{.blocks = 1, .threads = 64, .shared_bytes = 100 * 1024};
  CHECK_NOTHROW(launch("sums", sums_its_block, grid, nullptr, out.data()));
}

TEST_CASE("a launch of no blocks does nothing") {
  CHECK_NOTHROW(launch("throws", throws, {.blocks = 0, .threads = 64}, nullptr, nullptr));
}

TEST_CASE("a grid has as many groups as hold all elements, and never more than CUDA can launch") {
  CHECK(groups(0, 128) == 0);
  CHECK(groups(129, 128) == 2);
  CHECK_THROWS_AS(groups(std::int64_t(1) << 40, 128), Error);
}

// Expected bits: hand-made from the definition of rounding to nearest, ties to even.
struct Rounding {
  std::uint32_t value;
  std::uint16_t rounded;
};

TEST_CASE("emulated bfloat16 rounds to nearest, ties to even, as the device does") {
  const Rounding rounding = GENERATE(values<Rounding>({
      {0x3f800000, 0x3f80},  // 1
      {0x3f807fff, 0x3f80},  // just below the middle
      {0x3f808000, 0x3f80},  // the middle: to even, down
      {0x3f818000, 0x3f82},  // the middle: to even, up
      {0x3f808001, 0x3f81},  // just above the middle
      {0xbf818000, 0xbf82},  // negative
      {0x7f7fffff, 0x7f80},  // the largest float: infinity
      {0x7f800000, 0x7f80},  // infinity
      {0x00000001, 0x0000},  // the smallest denormal
      {0x00018000, 0x0002},  // a denormal, middle, up
      {0x80000000, 0x8000},  // -0
      {0x7f800001, 0x7fff},  // every NaN is one NaN
      {0xffc00000, 0x7fff},
  }));
  float value;
  std::memcpy(&value, &rounding.value, sizeof value);
  CHECK(static_cast<__nv_bfloat16_raw>(__float2bfloat16_rn(value)).x == rounding.rounded);
}

TEST_CASE("emulated bfloat16 comes back from float unchanged") {
  for (unsigned bits = 0; bits < 0x7f80; ++bits) {
    const __nv_bfloat16 value = __nv_bfloat16_raw{static_cast<unsigned short>(bits)};
    const __nv_bfloat162 pair = __float22bfloat162_rn(__bfloat1622float2({value, value}));
    REQUIRE(static_cast<__nv_bfloat16_raw>(pair.y).x == bits);
  }
}

}  // namespace
}  // namespace metascale::cuda
