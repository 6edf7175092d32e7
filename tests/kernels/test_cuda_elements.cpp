// Operators with one thread per element on the GPU against the CPU, whose own tests are in
// test_elementwise.cpp, test_low_rank.cpp, test_rotary.cpp and test_token_shift.cpp. Sizes: more
// than a block, no multiple; rows of whole packs [packs.cuh] and not.
#include "tests/kernels/cuda_device.hpp"
#include "tests/kernels/elementwise_cases.hpp"
#include "tests/kernels/low_rank_cases.hpp"
#include "tests/kernels/reset_cases.hpp"
#include "tests/kernels/rotary_cases.hpp"

namespace metascale {

using namespace testing;

namespace {

struct FillCase {
  Memory memory;
  Fill forward;
  FillCase(Dtype dtype, Shape shape) : memory(dtype) {
    forward = {.x = memory.output(shape), .value = 0.3};
  }
};

struct CastCase {
  Memory memory;
  Cast forward;
  CastCase(Dtype from, Shape shape, Dtype to) : memory(from) {
    forward = {.y = memory.output(shape, to), .x = memory.random(shape)};
  }
};

struct LastTokenCase {
  Memory memory;
  LastToken forward;
  LastTokenCase(Dtype dtype, Shape BTD) : memory(dtype) {
    forward = {.y = memory.output({BTD[0], BTD[2]}), .x = memory.random(BTD)};
  }
};

}  // namespace

TEST_CASE("activations on the GPU are close to the CPU") {
  const ActivationKind kind =
      GENERATE(ActivationKind::relu_squared, ActivationKind::gelu_tanh, ActivationKind::gelu_erf,
               ActivationKind::tanh, ActivationKind::sigmoid);
  expect_cuda_close_to_cpu<ActivationCase>(Shape{7, 43}, kind);
  expect_cuda_adds_to_gradients<ActivationCase>(Shape{7, 43}, kind);
}

TEST_CASE("swiglu on the GPU is close to the CPU") {
  expect_cuda_close_to_cpu<SwigluCase>(Shape{7, 43});
  expect_cuda_adds_to_gradients<SwigluCase>(Shape{7, 43});
}

TEST_CASE("sums on the GPU are close to the CPU") {
  const int summands = GENERATE(2, 3);
  expect_cuda_close_to_cpu<AddCase>(Shape{7, 43}, summands);
  expect_cuda_adds_to_gradients<AddCase>(Shape{7, 43}, summands);
}

TEST_CASE("elementwise operators on the GPU have the same bits on every run") {
  const Shape shape = GENERATE(Shape{7, 43}, Shape{7, 40});  // packs, and a rest or none
  for (const ActivationKind kind :
       {ActivationKind::relu_squared, ActivationKind::gelu_tanh, ActivationKind::gelu_erf,
        ActivationKind::tanh, ActivationKind::sigmoid})
    expect_same_bits_on_every_run<ActivationCase>(shape, kind);
  expect_same_bits_on_every_run<SwigluCase>(shape);
  for (const int summands : {2, 3}) expect_same_bits_on_every_run<AddCase>(shape, summands);
}

TEST_CASE("fills, casts and last tokens on the GPU have the same bits on every run") {
  expect_same_bits_on_every_run<FillCase>(Shape{301});
  for (const Dtype to : {Dtype::f32, Dtype::f64, Dtype::bf16})
    expect_same_bits_on_every_run<CastCase>(Shape{301}, to);
  expect_same_bits_on_every_run<LastTokenCase>(Shape{3, 37, 11});
}

TEST_CASE("a fill on the GPU reaches the last element") {
  Memory memory(Dtype::f32);
  const Tensor x = memory.output({301});
  run_on(Device::cuda, Fill{.x = x, .value = 0.5});
  CHECK(values_of(x) == Values(301, 0.5));
}

TEST_CASE("a cast on the GPU has the bits of the CPU") {
  const Dtype from = GENERATE(Dtype::f32, Dtype::f64, Dtype::bf16);
  const Dtype to = GENERATE(Dtype::f32, Dtype::f64, Dtype::bf16);
  Memory memory(from);
  const Tensor x = memory.random({301});
  const Tensor on_cpu = memory.output({301}, to), on_cuda = memory.output({301}, to);
  run_on(Device::cpu, Cast{.y = on_cpu, .x = x});
  run_on(Device::cuda, Cast{.y = on_cuda, .x = x});
  CHECK(same_bits(on_cuda, on_cpu));
}

TEST_CASE("rotary embeddings on the GPU are close to the CPU") {
  const std::int64_t rotated = GENERATE(0, 4, 14);
  expect_cuda_close_to_cpu<RotaryCase>(Shape{2, 5, 3, 14}, rotated);
  expect_cuda_adds_to_gradients<RotaryCase>(Shape{2, 5, 3, 14}, rotated);
  const std::int64_t packs = GENERATE(0, 16, 32);
  expect_cuda_close_to_cpu<RotaryCase>(Shape{2, 5, 3, 32}, packs);
  expect_cuda_adds_to_gradients<RotaryCase>(Shape{2, 5, 3, 32}, packs);
}

TEST_CASE("split heads on the GPU are close to the CPU") {
  const Shape shape = GENERATE(Shape{2, 5, 3, 14}, Shape{2, 5, 3, 24});
  expect_cuda_close_to_cpu<SplitHeadsCase>(shape);
  expect_cuda_adds_to_gradients<SplitHeadsCase>(shape);
}

TEST_CASE("rotary embeddings and split heads on the GPU have the same bits on every run") {
  expect_same_bits_on_every_run<RotaryCase>(Shape{2, 5, 3, 14}, std::int64_t(4));
  expect_same_bits_on_every_run<RotaryCase>(Shape{2, 5, 3, 32}, std::int64_t(16));
  expect_same_bits_on_every_run<SplitHeadsCase>(Shape{2, 5, 3, 14});
  expect_same_bits_on_every_run<SplitHeadsCase>(Shape{2, 5, 3, 24});
}

TEST_CASE("token shifts on the GPU are close to the CPU") {
  const int mixes = GENERATE(1, 6);
  const bool with_previous = GENERATE(false, true);
  const Shape shape = GENERATE(Shape{3, 37, 11}, Shape{3, 67, 24});
  expect_cuda_close_to_cpu<TokenShiftCase>(shape, mixes, with_previous);
  expect_cuda_adds_to_gradients<TokenShiftCase>(shape, mixes, with_previous);
}

TEST_CASE("resets, and token shifts that stop at documents, on the GPU are close to the CPU") {
  const Starts starts{1, 20, 36};
  const double value = GENERATE(0.0, 2.5);
  const Shape shape = GENERATE(Shape{3, 37, 11}, Shape{3, 37, 16});
  expect_cuda_close_to_cpu<ResetCase>(shape, starts, value);
  expect_cuda_adds_to_gradients<ResetCase>(shape, starts, value);
  expect_cuda_close_to_cpu<PackedTokenShiftCase>(shape, 2, starts);
  expect_cuda_adds_to_gradients<PackedTokenShiftCase>(shape, 2, starts);
}

TEST_CASE("token shifts on the GPU have the same bits on every run") {
  expect_same_bits_on_every_run<TokenShiftCase>(Shape{3, 37, 11}, 6, true);
  expect_same_bits_on_every_run<TokenShiftCase>(Shape{3, 67, 24}, 6, true);
}

TEST_CASE(
    "resets, and token shifts that stop at documents, on the GPU have the same bits on every run") {
  const Starts starts{1, 20, 36};
  const Shape shape = GENERATE(Shape{3, 37, 11}, Shape{3, 37, 16});
  expect_same_bits_on_every_run<ResetCase>(shape, starts, 2.5);
  expect_same_bits_on_every_run<PackedTokenShiftCase>(shape, 2, starts);
}

TEST_CASE("low-rank maps with joined factors on the GPU are close to the CPU") {
  const Ranks ranks = GENERATE(Ranks{33}, Ranks{5, 33, 7, 1});
  const bool with_previous = GENERATE(false, true);
  expect_cuda_close_to_cpu<JoinFactorsCase>(std::int64_t(37), ranks);
  expect_cuda_adds_to_gradients<JoinFactorsCase>(std::int64_t(37), ranks);
  expect_cuda_close_to_cpu<SplitHiddenCase>(Shape{3, 37}, ranks, with_previous);
  expect_cuda_adds_to_gradients<SplitHiddenCase>(Shape{3, 37}, ranks, with_previous);
}

TEST_CASE("hidden rows that stop at documents on the GPU are close to the CPU") {
  const Ranks ranks{5, 33, 7};
  const Starts starts = GENERATE(Starts{0}, Starts{1, 20, 36});
  expect_cuda_close_to_cpu<PackedSplitHiddenCase>(Shape{3, 37}, ranks, starts);
  expect_cuda_adds_to_gradients<PackedSplitHiddenCase>(Shape{3, 37}, ranks, starts);
}

TEST_CASE("low-rank maps with joined factors on the GPU have the same bits on every run") {
  const Ranks ranks{5, 33, 7, 1};
  expect_same_bits_on_every_run<JoinFactorsCase>(std::int64_t(37), ranks);
  expect_same_bits_on_every_run<SplitHiddenCase>(Shape{3, 37}, ranks, true);
  expect_same_bits_on_every_run<PackedSplitHiddenCase>(Shape{3, 37}, ranks, Starts{1, 20, 36});
}

TEST_CASE("the last token on the GPU is that of every sequence") {
  Memory memory(Dtype::f32);
  const Tensor x = memory.random({3, 4, 5}), y = memory.output({3, 5}),
               same = memory.output({3, 5});
  run_on(Device::cuda, LastToken{.y = y, .x = x});
  run_on(Device::cpu, LastToken{.y = same, .x = x});
  CHECK(same_bits(y, same));
}

}  // namespace metascale
