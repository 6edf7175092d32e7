#include "kernels/memory.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "core/round_up.hpp"
#include "kernels/cuda/memory.hpp"
#include "kernels/queue.hpp"

namespace metascale {
namespace {

constexpr std::size_t huge_page = std::size_t(2) << 20;

std::byte* allocate_on_cpu(std::size_t bytes) {
  const std::size_t alignment = bytes >= huge_page ? huge_page : 64;
  const std::size_t rounded = round_up(bytes, alignment);
  void* memory = std::aligned_alloc(alignment, rounded);
  if (!memory)
    throw Error(concat("out of memory: ", bytes,
                       " bytes were asked for on the CPU; lower "
                       "training.micro_batch or set training.recompute: block"),
                ExitCode::run_failed);
  if (alignment == huge_page) madvise(memory, rounded, MADV_HUGEPAGE);  // a hint: may be refused
  std::memset(memory, 0, rounded);
  return static_cast<std::byte*>(memory);
}

}  // namespace

Buffer::Buffer(Device device, std::size_t bytes) : device_(device), bytes_(bytes) {
  switch (device) {
    case Device::plan: return;
    case Device::cpu: data_ = bytes ? allocate_on_cpu(bytes) : nullptr; return;
    case Device::cuda: {
      if (bytes == 0) return;
      cuda::DeviceMemory memory(cuda::allocate(bytes));
      cuda::clear(memory.get(), bytes, nullptr);
      cuda::finish(nullptr);  // other streams do not wait
      data_ = memory.release();
      return;
    }
  }
}

Buffer Buffer::pinned(std::size_t bytes) {
  Buffer buffer;
  buffer.device_ = Device::cpu;
  buffer.is_pinned_ = true;
  buffer.data_ = cuda::allocate_pinned(bytes);
  buffer.bytes_ = bytes;
  if (bytes > 0) std::memset(buffer.data_, 0, bytes);
  return buffer;
}

Buffer::~Buffer() {
  if (is_pinned_)
    cuda::release_pinned(data_);
  else if (device_ == Device::cpu)
    std::free(data_);
  if (device_ == Device::cuda) cuda::release(data_);
}

void copy_to_device(const Queue& queue, std::byte* device, const void* host, std::size_t bytes) {
  if (queue.device == Device::cuda)
    return cuda::copy_to_device(device, host, bytes, queue.cuda.stream);
  std::memcpy(device, host, bytes);
}

void copy_to_host(const Queue& queue, void* host, const std::byte* device, std::size_t bytes) {
  if (queue.device == Device::cuda)
    return cuda::copy_to_host(host, device, bytes, queue.cuda.stream);
  std::memcpy(host, device, bytes);
}

void send_to_device(const Queue& queue, std::byte* device, const std::byte* host,
                    std::size_t bytes) {
  if (queue.device == Device::cuda)
    return cuda::send_to_device(device, host, bytes, queue.cuda.stream);
  std::memcpy(device, host, bytes);
}

void send_to_host(const Queue& queue, std::byte* host, const std::byte* device, std::size_t bytes) {
  if (queue.device == Device::cuda)
    return cuda::send_to_host(host, device, bytes, queue.cuda.stream);
  std::memcpy(host, device, bytes);
}

void finish(const Queue& queue) {
  if (queue.device == Device::cuda) cuda::finish(queue.cuda.stream);
}

void clear(const Queue& queue, std::byte* memory, std::size_t bytes) {
  if (queue.device == Device::cuda) return cuda::clear(memory, bytes, queue.cuda.stream);
  std::memset(memory, 0, bytes);
}

}  // namespace metascale
