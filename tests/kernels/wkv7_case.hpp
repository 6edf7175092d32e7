// The four WKV7 operators in a memory of their own.
#pragma once

#include "kernels/cases/wkv7.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

using cases::Wkv7Sizes;

struct Wkv7Case : OwnMemory, cases::Wkv7 {
  Wkv7Sizes sizes;

  Wkv7Case(Dtype dtype, const Wkv7Sizes& sizes, WkvRead read)
      : OwnMemory{Memory(dtype)}, Wkv7(memory, sizes, read), sizes(sizes) {}

  void run(Queue& queue) const {
    metascale::run(queue, forward);
    metascale::run(queue, read_out);
    metascale::run(queue, query_backward);
    metascale::run(queue, backward);
  }

  std::vector<Named> outputs() const {
    std::vector<Named> all;
    const auto add = [&](const auto& op) {
      for (const Named& output : outputs_of(op))
        if (output.name != "checkpoints") all.push_back(output);  // their layout is private
    };
    add(forward);
    add(read_out);
    add(query_backward);
    add(backward);
    return all;
  }
};

}  // namespace metascale::testing
