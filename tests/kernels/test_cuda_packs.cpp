// Operators on the GPU that read 16 bytes at a time [kernels/cuda/packs.cuh], where that may not
// be: operands one element behind what is aligned. A read that is not aligned ends the emulator.
#include "tests/kernels/cuda_device.hpp"
#include "tests/kernels/elementwise_cases.hpp"
#include "tests/kernels/embedding_cases.hpp"
#include "tests/kernels/matmul_cases.hpp"
#include "tests/kernels/norm_cases.hpp"
#include "tests/kernels/reset_cases.hpp"
#include "tests/kernels/rotary_cases.hpp"
#include "tests/kernels/self_state_cases.hpp"
#include "tests/kernels/time_mix_cases.hpp"
#include "tests/kernels/token_shift_cases.hpp"

namespace metascale {

using namespace testing;

namespace {

template <typename Case, typename... Sizes>
void expect_close_where_unaligned(Sizes... sizes) {
  Case on_cpu(Dtype::f32, sizes...), on_cuda(Dtype::f32, sizes...);
  run_case_on(Device::cpu, on_cpu);
  run_case_on(Device::cuda, on_cuda, Place::unaligned);
  expect_close(outputs_of_case(on_cuda), outputs_of_case(on_cpu), tolerance::f32);
}

template <typename Case, typename... Sizes>
void expect_same_bits_where_unaligned(Sizes... sizes) {
  for (const Dtype storage : {Dtype::f32, Dtype::f64, Dtype::bf16})
    expect_same_bits_of([&] { return Case(storage, sizes...); }, Place::unaligned);
}

}  // namespace

TEST_CASE("operators on the GPU take operands that are not aligned to packs") {
  expect_close_where_unaligned<ActivationCase>(Shape{7, 40}, ActivationKind::gelu_tanh);
  expect_close_where_unaligned<SwigluCase>(Shape{7, 40});
  expect_close_where_unaligned<AddCase>(Shape{7, 40}, 3);
  expect_close_where_unaligned<RotaryCase>(Shape{2, 5, 3, 32}, std::int64_t(16));
  expect_close_where_unaligned<SplitHeadsCase>(Shape{2, 5, 3, 24});
  expect_close_where_unaligned<TokenShiftCase>(Shape{3, 37, 24}, 6, true);
  expect_close_where_unaligned<ResetCase>(Shape{3, 37, 16}, Starts{1, 20, 36}, 2.5);
  expect_close_where_unaligned<EmbeddingCase>(101, 7, 40);
  expect_close_where_unaligned<LayerNormCase>(70, 40, 2);
  expect_close_where_unaligned<RmsNormCase>(70, 40, 3);
  expect_close_where_unaligned<ColumnSumCase>(200, 40);
  expect_close_where_unaligned<TimeMixOperandsCase>(37, 3, 64);
  expect_close_where_unaligned<SelfStateMixCase>(70, 3, 5, 4, 16);
}

// Those that take packs of any aligned operands, whatever their rows.
TEST_CASE("operators on the GPU have the same bits on every run without packs, too") {
  expect_same_bits_where_unaligned<ActivationCase>(Shape{7, 43}, ActivationKind::relu_squared);
  expect_same_bits_where_unaligned<ActivationCase>(Shape{7, 43}, ActivationKind::gelu_tanh);
  expect_same_bits_where_unaligned<SwigluCase>(Shape{7, 43});
  expect_same_bits_where_unaligned<AddCase>(Shape{7, 43}, 3);
  expect_same_bits_where_unaligned<TimeMixOperandsCase>(37, 3, 64);
}

}  // namespace metascale
