// The host's side of a GPU's executions: what they read and what they gave, in a slot for each, so
// that the next can be sent while the GPU computes.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "kernels/memory.hpp"

namespace metascale {

class HostExchange {
 public:
  HostExchange(std::int64_t slots, std::size_t input_bytes, std::size_t result_bytes)
      : slots_(std::size_t(slots)),
        input_bytes_(input_bytes),
        result_bytes_(result_bytes),
        inputs_(Buffer::pinned(slots_ * input_bytes)),
        results_(Buffer::pinned(slots_ * result_bytes)) {}

  // Of the execution that is sent next.
  std::byte* inputs() const { return inputs_.data() + reads_.size() * input_bytes_; }
  // Of the execution whose read() is called, or of the last one.
  const std::byte* result() const { return results_.data() + read_ * result_bytes_; }

  // Sends one execution, which `work` sends to the GPU, with its inputs and its result. read is
  // called when the result is there.
  void send(const Queue& queue, std::byte* inputs, const std::byte* result,
            const std::function<void()>& work, std::function<void()> read) {
    send_to_device(queue, inputs, this->inputs(), input_bytes_);
    work();
    send_to_host(queue, results_.data() + reads_.size() * result_bytes_, result, result_bytes_);
    reads_.push_back(std::move(read));
    if (reads_.size() == slots_) finish(queue);
  }

  void finish(const Queue& queue) {
    metascale::finish(queue);
    const auto reads = std::exchange(reads_, {});
    for (std::size_t i = 0; i < reads.size(); ++i) {
      read_ = i;
      if (reads[i]) reads[i]();
    }
  }

 private:
  std::size_t slots_, input_bytes_, result_bytes_;
  Buffer inputs_, results_;
  std::vector<std::function<void()>> reads_;  // of the executions that were sent
  std::size_t read_ = 0;                      // whose result is read
};

}  // namespace metascale
