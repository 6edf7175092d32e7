// Norms in memories of their own.
#pragma once

#include "kernels/cases/norms.hpp"
#include "kernels/elementwise.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct LayerNormCase : OwnMemory, cases::LayerNorm {
  LayerNormCase(Dtype dtype, std::int64_t R, std::int64_t D, int summands = 1)
      : OwnMemory{Memory(dtype)}, LayerNorm(memory, R, D, summands) {}
};

struct RmsNormCase : OwnMemory, cases::RmsNorm {
  RmsNormCase(Dtype dtype, std::int64_t R, std::int64_t D, int summands = 1)
      : OwnMemory{Memory(dtype)}, RmsNorm(memory, R, D, summands) {}
};

struct HeadNormCase : OwnMemory, cases::HeadNorm {
  HeadNormCase(Dtype dtype, std::int64_t R, std::int64_t H, std::int64_t N)
      : OwnMemory{Memory(dtype)}, HeadNorm(memory, R, H, N) {}
};

// A norm that adds leaves what AddForward and a norm behind it leave. execute: runs an operator.
template <typename Case, typename Execute>
void expect_bits_of_add_and_norm(Dtype storage, Execute&& execute) {
  for (const int summands : {2, 3}) {
    Case together(storage, 70, 37, summands), apart(storage, 70, 37, summands);
    auto& norm = apart.forward;
    execute(together.forward);
    execute(AddForward{.y = norm.sum, .a = norm.x, .b = norm.branch, .c = norm.second_branch});
    norm.x = norm.sum;
    norm.sum = norm.branch = norm.second_branch = {};
    execute(norm);
    INFO(summands << " summands in " << name_of(storage));
    CHECK(same_bits(together.forward.sum, norm.x));
    CHECK(same_bits(together.forward.y, norm.y));
    CHECK(same_bits(together.forward.scale, norm.scale));
    if constexpr (requires { norm.mean; }) CHECK(same_bits(together.forward.mean, norm.mean));
  }
}

}  // namespace metascale::testing
