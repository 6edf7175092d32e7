#include "kernels/memory.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

namespace metascale {
namespace {

constexpr std::size_t huge_page = std::size_t(2) << 20;

std::byte* allocate_on_cpu(std::size_t bytes) {
  const std::size_t alignment = bytes >= huge_page ? huge_page : 64;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded);
  if (!memory)
    throw Error(concat("out of memory: ", bytes, " bytes were asked for on the CPU; lower "
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
    case Device::cuda:
      throw Error("this program was built without CUDA memory; use device: cpu",
                  ExitCode::unavailable);
  }
}

Buffer::~Buffer() {
  if (device_ == Device::cpu) std::free(data_);
}

}  // namespace metascale
