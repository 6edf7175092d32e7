// Attention on the GPU against the CPU, whose own tests are in test_attention.cpp. Lengths: within
// one tile, and over several with a last one that is not whole; heads as wide as a template and
// narrower.
#include "tests/kernels/cuda_device.hpp"
#include "tests/kernels/reset_cases.hpp"

namespace metascale {

using namespace testing;

namespace {

constexpr double bf16_weights = 1.0 / 64;

template <typename Case, typename... Sizes>
void expect_bf16_close_to_cpu(Sizes... sizes) {
  Case on_cpu(Dtype::bf16, sizes...), on_cuda(Dtype::bf16, sizes...);
  run_case_on(Device::cpu, on_cpu);
  run_case_on(Device::cuda, on_cuda);
  expect_close(outputs_of_case(on_cuda), outputs_of_case(on_cpu), bf16_weights);
}

}  // namespace

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
  expect_same_bits_on_every_run<PackedAttentionCase>(Shape{1, 37, 2, 9}, Starts{5, 31});
}

// On tensor cores: the weights are rounded to bf16 before they are multiplied, the CPU's are not.
TEST_CASE("attention stored in bf16 on the GPU is close to the CPU") {
  const Shape shape = GENERATE(Shape{2, 9, 2, 8}, Shape{1, 70, 1, 64}, Shape{2, 130, 1, 24},
                               Shape{1, 64, 2, 16}, Shape{1, 65, 1, 40}, Shape{1, 100, 1, 128});
  expect_bf16_close_to_cpu<AttentionCase>(shape);
}

TEST_CASE("attention stored in bf16 with a block-diagonal mask on the GPU is close to the CPU") {
  const Starts starts = GENERATE(Starts{1}, Starts{31, 32, 60}, Starts{64, 66});
  expect_bf16_close_to_cpu<PackedAttentionCase>(Shape{2, 70, 1, 16}, starts);
  expect_bf16_close_to_cpu<PackedAttentionCase>(Shape{1, 200, 1, 64}, starts);
  expect_bf16_close_to_cpu<PackedAttentionCase>(Shape{1, 100, 1, 128}, starts);
}

TEST_CASE("attention stored in bf16 of rows that see nothing of their first tile is finite") {
  const auto item = [] {
    PackedAttentionCase made(Dtype::bf16, Shape{1, 128, 1, 16}, Starts{70});
    made.forward.scale = made.backward.scale = 1;  // the operator's own default
    return made;
  };
  const PackedAttentionCase on_cpu = item(), on_cuda = item();
  run_case_on(Device::cpu, on_cpu);
  run_case_on(Device::cuda, on_cuda);
  expect_close(outputs_of_case(on_cuda), outputs_of_case(on_cpu), 2 * bf16_weights);
}

TEST_CASE("attention stored in bf16 to a cache of keys on the GPU is close to the CPU") {
  expect_bf16_close_to_cpu<CachedAttentionCase>(Shape{2, 3, 2, 8}, 75);
  expect_bf16_close_to_cpu<CachedAttentionCase>(Shape{1, 70, 1, 16}, 71);
  expect_bf16_close_to_cpu<CachedAttentionCase>(Shape{1, 5, 1, 64}, 300);
  expect_bf16_close_to_cpu<CachedAttentionCase>(Shape{1, 1, 1, 128}, 1);
}

TEST_CASE("attention stored in bf16 on the GPU adds to the gradients it finds") {
  AttentionCase on_cpu(Dtype::bf16, {1, 70, 2, 24}), on_cuda(Dtype::bf16, {1, 70, 2, 24});
  for (AttentionCase* item : {&on_cpu, &on_cuda}) {
    unsigned seed = 77;
    for (Tensor* gradient : {&item->backward.dq, &item->backward.dk, &item->backward.dv}) {
      gradient->fresh = false;
      assign(*gradient, random_values(gradient->size(), seed++));
    }
  }
  run_case_on(Device::cpu, on_cpu);
  run_case_on(Device::cuda, on_cuda);
  expect_close(outputs_of_case(on_cuda), outputs_of_case(on_cpu), bf16_weights);
}

TEST_CASE("attention stored in bf16 on the GPU has the same bits on every run") {
  expect_same_bits_of([] { return AttentionCase(Dtype::bf16, {1, 130, 2, 24}); });
  expect_same_bits_of([] {
    return PackedAttentionCase(Dtype::bf16, {1, 70, 1, 64}, {31, 32, 60});
  });
}

TEST_CASE("attention stored in bf16 on the GPU takes rows that are not of whole packs") {
  AttentionCase on_cpu(Dtype::bf16, {1, 40, 2, 9}), on_cuda(Dtype::bf16, {1, 40, 2, 9});
  run_case_on(Device::cpu, on_cpu);
  run_case_on(Device::cuda, on_cuda);
  expect_close(outputs_of_case(on_cuda), outputs_of_case(on_cpu), 1.0 / 128);  // two neighbours
  AttentionCase unaligned(Dtype::bf16, {1, 40, 2, 16}), truth(Dtype::bf16, {1, 40, 2, 16});
  run_case_on(Device::cpu, truth);
  run_case_on(Device::cuda, unaligned, Place::unaligned);
  expect_close(outputs_of_case(unaligned), outputs_of_case(truth), 1.0 / 128);
}

TEST_CASE("a head that is too wide for the GPU is refused with its width") {
  AttentionCase item(Dtype::f32, {1, 2, 1, 129});
  CHECK_THROWS_WITH(run_on(Device::cuda, item.forward),
                    Catch::StartsWith("attention on a GPU was given heads of 129 channels"));
}

}  // namespace metascale
