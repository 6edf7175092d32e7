// Attention on the GPU against the CPU, whose own tests are in test_attention.cpp. Lengths: within
// one tile, and over several with a last one that is not whole; heads as wide as a template and
// narrower.
#include "tests/kernels/cuda_device.hpp"
#include "tests/kernels/reset_cases.hpp"

namespace metascale {

using namespace testing;

TEST_CASE("attention on the GPU is close to the CPU") {
  expect_cuda_close_to_cpu<AttentionCase>(Shape{2, 5, 3, 7});
  expect_cuda_close_to_cpu<AttentionCase>(Shape{1, 70, 1, 16});
  expect_cuda_close_to_cpu<AttentionCase>(Shape{1, 33, 2, 32});
  expect_cuda_close_to_cpu<AttentionCase>(Shape{1, 65, 1, 64});
  expect_cuda_close_to_cpu<AttentionCase>(Shape{1, 40, 1, 100});
}

TEST_CASE("attention with a block-diagonal mask on the GPU is close to the CPU") {
  const Starts starts = GENERATE(Starts{1}, Starts{31, 32, 60}, Starts{64, 66});
  expect_cuda_close_to_cpu<PackedAttentionCase>(Shape{2, 70, 1, 16}, starts);
  expect_cuda_close_to_cpu<PackedAttentionCase>(Shape{1, 130, 1, 40}, starts);
  expect_cuda_adds_to_gradients<PackedAttentionCase>(Shape{1, 37, 2, 9}, starts);
}

TEST_CASE("attention to a cache of keys on the GPU is close to the CPU") {
  expect_cuda_close_to_cpu<CachedAttentionCase>(Shape{2, 3, 2, 8}, 75);
  expect_cuda_close_to_cpu<CachedAttentionCase>(Shape{1, 70, 1, 16}, 71);
  expect_cuda_close_to_cpu<CachedAttentionCase>(Shape{1, 1, 1, 16}, 1);
}

TEST_CASE("attention on the GPU adds to the gradients it finds") {
  expect_cuda_adds_to_gradients<AttentionCase>(Shape{1, 37, 2, 9});
}

TEST_CASE("attention on the GPU has the same bits on every run") {
  expect_same_bits_on_every_run<AttentionCase>(Shape{1, 70, 2, 9});
}

TEST_CASE("attention stored in bf16 on the GPU is close to the CPU") {
  const Shape shape = GENERATE(Shape{2, 9, 2, 8}, Shape{1, 70, 1, 64});
  AttentionCase on_cpu(Dtype::bf16, shape), on_cuda(Dtype::bf16, shape);
  run_case_on(Device::cpu, on_cpu);
  run_case_on(Device::cuda, on_cuda);
  expect_close(outputs_of_case(on_cuda), outputs_of_case(on_cpu),
               1.0 / 128);  // two neighbours in bf16
}

TEST_CASE("a head that is too wide for the GPU is refused with its width") {
  AttentionCase item(Dtype::f32, {1, 2, 1, 129});
  CHECK_THROWS_WITH(run_on(Device::cuda, item.forward),
                    Catch::StartsWith("attention on a GPU was given heads of 129 channels"));
}

}  // namespace metascale
