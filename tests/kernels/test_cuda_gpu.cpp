// The GPU as the program sees it, on an emulated machine that lacks what real ones lack.
#include <cuda_runtime.h>

#include <catch2/catch.hpp>

#include "kernels/cuda/context.hpp"
#include "kernels/cuda/energy.hpp"
#include "kernels/cuda/memory.hpp"
#include "kernels/gpu.hpp"
#include "kernels/memory.hpp"
#include "tests/support/cases.hpp"

namespace metascale {
namespace {

using testing::message_of_error;

// The emulated machine, as it was before when this goes.
struct Machine {
  cuda_emulator::Machine before = cuda_emulator::machine();
  cuda_emulator::Machine& now = cuda_emulator::machine();
  Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() { now = before; }
};

ExitCode code_of_error() {
  try {
    gpu_info();
  } catch (const Error& error) {
    return error.code;
  }
  return ExitCode::good;
}

}  // namespace

TEST_CASE("a GPU says what it is") {
  const GpuInfo info = gpu_info();
  CHECK(info.name == "emulated GPU");
  CHECK(info.major == 9);
  CHECK(info.multiprocessors == 1);
  CHECK(info.memory_bytes == std::size_t(128) << 30);
  CHECK(info.pci_bus_id == "0000:00:00.0");
  CHECK(info.runtime_version == 13000);
}

TEST_CASE("a machine without a GPU is an error that says what to use") {
  Machine machine;
  machine.now.devices = 0;
  CHECK(code_of_error() == ExitCode::unavailable);
  CHECK_THAT(message_of_error([] { Gpu gpu; }),
             Catch::StartsWith("device 'cuda' was asked for, but there is no NVIDIA GPU") &&
                 Catch::EndsWith("use device: cpu"));
}

TEST_CASE("a driver that is too old is an error with both versions") {
  Machine machine;
  machine.now.driver_version = 12040;
  CHECK(code_of_error() == ExitCode::unavailable);
  CHECK(
      message_of_error([] { Gpu gpu; }) ==
      "the NVIDIA driver knows CUDA up to 12.4, but this program was built with CUDA 13.0; update "
      "the driver, or use device: cpu");
}

TEST_CASE(
    "a GPU of an architecture that the program was not compiled for is an error that names it") {
  Machine machine;
  machine.now.has_kernels = false;
  CHECK_THAT(message_of_error([] { Gpu gpu; }),
             Catch::StartsWith("this program holds no code for emulated GPU (sm_90)") &&
                 Catch::EndsWith("configure with -DCMAKE_CUDA_ARCHITECTURES=90"));
  machine.now.major = 7;
  CHECK_THAT(message_of_error([] { Gpu gpu; }),
             Catch::EndsWith("the kernels need sm_80 or later: use another GPU or device: cpu"));
}

TEST_CASE("a GPU that is not there is an error with how many there are") {
  CHECK(message_of_error([] { gpu_info(1); }) ==
        "GPU 1 was asked for, but there are 1: 0 is the first");
  CHECK_THROWS_AS(gpu_info(-1), Error);
}

TEST_CASE("memory of the GPU that runs out is an error with how to use less, and nothing is lost") {
  Machine machine;
  Gpu gpu(GpuOptions{.workspace_bytes = 4096});
  const GpuMemory before = gpu.memory();
  machine.now.memory_bytes = before.total_bytes - before.free_bytes + 1000;
  CHECK_THAT(message_of_error([] { Buffer buffer(Device::cuda, 2000); }),
             Catch::Contains("2000 bytes were asked for on the GPU: out of memory") &&
                 Catch::Contains("training.micro_batch"));
  CHECK(gpu.memory().free_bytes == 1000);
  CHECK_NOTHROW(Buffer(Device::cuda, 900));
  CHECK(gpu.memory().free_bytes == 1000);
}

TEST_CASE("a workspace that does not fit is an error, and what was begun is released") {
  Machine machine;
  std::size_t free_bytes = 0, total_bytes = 0;
  cudaMemGetInfo(&free_bytes, &total_bytes);
  CHECK_THROWS_AS(Gpu(GpuOptions{.workspace_bytes = std::size_t(1) << 40}), Error);
  std::size_t after = 0;
  cudaMemGetInfo(&after, &total_bytes);
  CHECK(after == free_bytes);
}

TEST_CASE(
    "a GPU that is lost midway is an error where it is waited for, and is left without another") {
  Machine machine;
  {
    const Gpu gpu(GpuOptions{.workspace_bytes = 4096});
    machine.now.failure = cudaErrorLaunchFailure;
    CHECK_THAT(message_of_error([&] { gpu.wait(); }),
               Catch::StartsWith("the GPU failed at work that was sent to it before") &&
                   Catch::EndsWith("unspecified launch failure"));
    CHECK_THROWS_AS(cuda::copy_to_host(nullptr, nullptr, 0, gpu.queue().stream), Error);
  }
  machine.now.failure = cudaSuccess;
  CHECK_NOTHROW(Gpu().wait());
}

TEST_CASE("a GPU may go with an error that nobody has waited for") {
  bool was_run = false;
  {
    const Gpu gpu(GpuOptions{.workspace_bytes = 4096});
    cuda_emulator::send(gpu.queue().stream, [&] {
      was_run = true;
      throw Error("of a kernel");
    });
  }
  CHECK(was_run);
  CHECK_NOTHROW(Gpu().wait());
}

TEST_CASE("a GPU's energy is counted in joules") {
  const cuda::EnergyCounter energy("0000:00:00.0", METASCALE_NVML_STAND_IN);
  CHECK(energy.why_missing() == "");
  const std::optional<double> first = energy.joules(), second = energy.joules();
  REQUIRE(first);
  REQUIRE(second);
  CHECK(*second - *first == Approx(1.0));
}

TEST_CASE("energy that is not counted is missing, with the reason") {
  const cuda::EnergyCounter no_library("0000:00:00.0", "libno-such-nvml.so.1");
  CHECK_FALSE(no_library.joules());
  CHECK(no_library.why_missing() == "libno-such-nvml.so.1 was not found");
  const cuda::EnergyCounter no_gpu("0000:99:00.0", METASCALE_NVML_STAND_IN);
  CHECK_FALSE(no_gpu.joules());
  CHECK(no_gpu.why_missing() == "NVML does not know the GPU 0000:99:00.0");
  const cuda::EnergyCounter other_library("0000:00:00.0", "libm.so.6");
  CHECK(other_library.why_missing() == "libm.so.6 does not count energy");
}

TEST_CASE("a GPU says which body its attention has") {
  CHECK(std::string(Gpu().attention()) == "own");
}

TEST_CASE("scratch that was outgrown stays where it is: a CUDA graph may hold its address") {
  const Gpu gpu(GpuOptions{.workspace_bytes = 4096});
  cuda::Context& context = cuda::context_of(gpu.queue());
  std::byte* usual = context.scratch(1);
  CHECK(context.scratch(std::size_t(8) << 20) == usual);
  cuda::clear(usual, 1, context.stream());
  std::byte* larger = context.scratch((std::size_t(8) << 20) + 1);
  CHECK(larger != usual);
  CHECK(context.scratch(1) == larger);
  cuda::clear(usual, std::size_t(8) << 20, context.stream());  // AddressSanitizer: still ours
  cuda::clear(larger, std::size_t(16) << 20, context.stream());
  gpu.wait();
}

}  // namespace metascale
