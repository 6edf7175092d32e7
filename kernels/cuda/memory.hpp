// Memory of the GPU, and copies to and from it.
#pragma once

#include <cstddef>
#include <memory>

struct CUstream_st;

namespace metascale::cuda {

// Not initialised; aligned to 256 bytes. Throws Error{run_failed} when there is none.
std::byte* allocate(std::size_t bytes);
void release(std::byte* memory) noexcept;

struct Release {
  void operator()(std::byte* memory) const noexcept { release(memory); }
};
using DeviceMemory = std::unique_ptr<std::byte, Release>;

// Memory of the host that the GPU reads and writes by itself. Throws Error{run_failed} when there
// is none.
std::byte* allocate_pinned(std::size_t bytes);
void release_pinned(std::byte* memory) noexcept;  // waits for the GPU

// Returns when all that was sent to it is done. Throws Error{run_failed} where that failed, or the
// GPU is lost.
void finish(CUstream_st* stream);
void clear(std::byte* memory, std::size_t bytes, CUstream_st* stream);
// Both return when the bytes are there.
void copy_to_device(std::byte* device, const void* host, std::size_t bytes, CUstream_st* stream);
void copy_to_host(void* host, const std::byte* device, std::size_t bytes, CUstream_st* stream);
// Both return at once: `host`, in pinned memory, is left as it is until finish().
void send_to_device(std::byte* device, const std::byte* host, std::size_t bytes,
                    CUstream_st* stream);
void send_to_host(std::byte* host, const std::byte* device, std::size_t bytes, CUstream_st* stream);

}  // namespace metascale::cuda
