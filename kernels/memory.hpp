// The only owner of memory on a device.
#pragma once

#include <cstddef>
#include <utility>

#include "core/tensor.hpp"

namespace metascale {

class Buffer {
 public:
  Buffer() = default;
  // bytes of zeroed memory, aligned to at least 64 bytes. Throws Error{run_failed} when there is
  // none.
  Buffer(Device device, std::size_t bytes);
  // Zeroed, on the host of a GPU, which reads and writes it by itself: for send_to_device and
  // send_to_host. Throws Error{unavailable} in a program without CUDA.
  static Buffer pinned(std::size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(is_pinned_, other.is_pinned_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  Device device_ = Device::plan;
  bool is_pinned_ = false;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

struct Queue;

// To, from and in memory of the queue's device, in the queue's order; the copies return when the
// bytes are there.
void copy_to_device(const Queue& queue, std::byte* device, const void* host, std::size_t bytes);
void copy_to_host(const Queue& queue, void* host, const std::byte* device, std::size_t bytes);
void clear(const Queue& queue, std::byte* memory, std::size_t bytes);
// The copies that a GPU makes while the host goes on: what lies in Buffer::pinned at `host` is left
// as it is until finish().
void send_to_device(const Queue& queue, std::byte* device, const std::byte* host,
                    std::size_t bytes);
void send_to_host(const Queue& queue, std::byte* host, const std::byte* device, std::size_t bytes);
// Returns when all that was sent to the queue is done. Throws Error{run_failed} where it failed.
void finish(const Queue& queue);

}  // namespace metascale
