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
  // slots: executions that may be under way.
  HostExchange(std::int64_t slots, std::size_t input_bytes, std::size_t result_bytes)
      : slots_(std::size_t(slots)),
        input_bytes_(input_bytes),
        result_bytes_(result_bytes),
        inputs_(Buffer::pinned((slots_ + 1) * input_bytes)),
        results_(Buffer::pinned(slots_ * result_bytes)) {}

  // Of the execution that is sent next; never of one under way.
  std::byte* inputs() const { return inputs_.data() + filled_ * input_bytes_; }
  // Of the execution whose read() is called, or of the last one.
  const std::byte* result() const { return results_.data() + read_ * result_bytes_; }

  // Sends one execution, which `work` sends to the GPU, with its inputs and its result. read is
  // called when the result is there: in finish(), or by a later send() that finds no slot.
  void send(const Queue& queue, std::byte* inputs, const std::byte* result,
            const std::function<void()>& work, std::function<void()> read) {
    if (sent_.size() == slots_) read_all(queue);
    send_to_device(queue, inputs, this->inputs(), input_bytes_);
    work();
    send_to_host(queue, results_.data() + sent_.size() * result_bytes_, result, result_bytes_);
    sent_.push_back(std::move(read));
    filled_ = (filled_ + 1) % (slots_ + 1);
  }

  void finish(const Queue& queue) {
    read_all(queue);
    filled_ = 0;
  }

  // No read() is called any more of what was sent.
  void forget() {
    sent_.clear();
    filled_ = 0;
  }

 private:
  void read_all(const Queue& queue) {
    metascale::finish(queue);
    arrived_.clear();
    arrived_.swap(sent_);
    for (std::size_t i = 0; i < arrived_.size(); ++i) {
      read_ = i;
      if (arrived_[i]) arrived_[i]();
    }
  }

  std::size_t slots_, input_bytes_, result_bytes_;
  Buffer inputs_, results_;
  std::vector<std::function<void()>> sent_, arrived_;  // read() of each
  std::size_t filled_ = 0, read_ = 0;                  // slots of inputs() and of result()
};

}  // namespace metascale
