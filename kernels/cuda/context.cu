#include "kernels/cuda/context.hpp"

#include <bit>

#include "kernels/cuda/launch.cuh"

namespace metascale::cuda {
namespace {

// Asked whether the program holds code for a GPU.
__global__ void is_compiled_for_this_gpu() {}

std::string version_text(int version) { return concat(version / 1000, ".", version % 1000 / 10); }

[[noreturn]] void throw_unavailable(const std::string& message) {
  throw Error(message, ExitCode::unavailable);
}

int count_of_gpus() {
  int count = 0, driver = 0, runtime = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return count;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (status == cudaErrorInsufficientDriver && driver > 0)
    throw_unavailable(concat("the NVIDIA driver knows CUDA up to ", version_text(driver),
                             ", but this program was built with CUDA ", version_text(runtime),
                             "; update the driver, or use device: cpu"));
  if (status == cudaSuccess || status == cudaErrorNoDevice || status == cudaErrorInsufficientDriver)
    throw_unavailable(
        "device 'cuda' was asked for, but there is no NVIDIA GPU, or no driver for it (nvidia-smi "
        "and CUDA_VISIBLE_DEVICES tell); use device: cpu");
  throw_unavailable(concat("the GPUs could not be counted: ", cudaGetErrorString(status)));
}

void expect_available(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw_unavailable(concat(what, ": ", cudaGetErrorString(status)));
}

void expect_compiled_for(const GpuInfo& info) {
  cudaFuncAttributes attributes;
  const cudaError_t status = cudaFuncGetAttributes(&attributes, is_compiled_for_this_gpu);
  if (status == cudaSuccess) return;
  const std::string mend =
      info.major < 8
          ? std::string("the kernels need sm_80 or later: use another GPU or device: cpu")
          : concat("configure with -DCMAKE_CUDA_ARCHITECTURES=", info.major, info.minor);
  throw_unavailable(concat("this program holds no code for ", info.name, " (sm_", info.major,
                           info.minor, "): ", cudaGetErrorString(status), "; ", mend));
}

CUstream_st* opened_stream() {
  cudaStream_t stream = nullptr;
  expect_success(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking),
                 "no stream was made on the GPU");
  return stream;
}

}  // namespace

GpuInfo gpu_info(int index) {
  const int count = count_of_gpus();
  if (index < 0 || index >= count)
    throw_unavailable(
        concat("GPU ", index, " was asked for, but there are ", count, ": 0 is the first"));
  cudaDeviceProp properties{};
  char bus[32] = "";
  GpuInfo info;
  expect_available(cudaSetDevice(index), "the GPU was not opened");
  expect_available(cudaGetDeviceProperties(&properties, index), "the GPU gave no answer");
  expect_available(cudaDeviceGetPCIBusId(bus, int(sizeof bus), index), "the GPU gave no answer");
  expect_available(cudaDriverGetVersion(&info.driver_version), "the driver gave no answer");
  expect_available(cudaRuntimeGetVersion(&info.runtime_version), "CUDA gave no answer");
  info.name = properties.name;
  info.major = properties.major;
  info.minor = properties.minor;
  info.multiprocessors = properties.multiProcessorCount;
  info.memory_bytes = properties.totalGlobalMem;
  info.pci_bus_id = bus;
  expect_compiled_for(info);
  return info;
}

void Context::CloseStream::operator()(CUstream_st* stream) const noexcept {
  cudaStreamDestroy(stream);
}

Context::Context(const GpuOptions& options)
    : info_(gpu_info(options.index)),
      stream_(opened_stream()),
      gemms_(options.workspace_bytes, options.algorithm_file, info_.name),
      rounded_bias_(allocate(std::size_t(most_rounded_bias) * size_of(Dtype::bf16))),
      cudnn_attention_(make_cudnn_attention()),
      energy_(info_.pci_bus_id) {
  if (options.scratch_bytes == 0) return;
  scratch_.emplace_back(allocate(options.scratch_bytes));
  scratch_bytes_ = options.scratch_bytes;
}

Context::~Context() {
  cudaDeviceSynchronize();  // kernels under way may use what is released now
}

std::byte* Context::rounded_bias(std::int64_t elements) {
  if (elements > most_rounded_bias)
    throw Error(concat("a bias of ", elements, " elements is longer than ", most_rounded_bias,
                       ", the most that is rounded to bf16 at a time"),
                ExitCode::run_failed);
  return rounded_bias_.get();
}

std::byte* Context::scratch(std::size_t bytes) {
  if (bytes > scratch_bytes_) {
    const std::size_t whole = std::bit_ceil(bytes);  // so that few are outgrown
    scratch_.emplace_back(allocate(whole));
    scratch_bytes_ = whole;
  }
  return scratch_.empty() ? nullptr : scratch_.back().get();
}

bool is_linked() { return true; }

Context* create_context(const GpuOptions& options) {
  return std::make_unique<Context>(options).release();
}

void destroy(Context* context) noexcept { const std::unique_ptr<Context> last(context); }

CudaQueue queue_of(Context& context) { return {.stream = context.stream(), .context = &context}; }

const GpuInfo& info_of(const Context& context) { return context.info(); }

std::optional<double> joules_of(const Context& context) { return context.energy().joules(); }

const char* attention_of(const Context& context) {
  return attention_body(context.cudnn_attention());
}

GpuMemory memory_of(const Context&) {
  GpuMemory memory;
  expect_success(cudaMemGetInfo(&memory.free_bytes, &memory.total_bytes),
                 "the GPU did not say how much memory it has");
  return memory;
}

void wait_for(Context& context) { finish(context.stream()); }

}  // namespace metascale::cuda
