// The classifier on the GPU against the CPU, whose own tests are in test_cross_entropy.cpp.
// Vocabularies: less and more than the threads of a row, whole packs of 16 bytes and not.
#include "tests/kernels/cross_entropy_cases.hpp"
#include "tests/kernels/cuda_device.hpp"

namespace metascale {

using namespace testing;

TEST_CASE("the classifier on the GPU is close to the CPU") {
  expect_cuda_close_to_cpu<ClassifierCase>(ClassifierSizes{7, 5, 13}, 3);
  expect_cuda_close_to_cpu<ClassifierCase>(ClassifierSizes{5, 8, 64}, 5);
  expect_cuda_close_to_cpu<ClassifierCase>(ClassifierSizes{2, 3, 1100}, 1);
  expect_cuda_close_to_cpu<ClassifierCase>(ClassifierSizes{2, 3, 2060}, 2);
}

TEST_CASE("the classifier on the GPU adds to the gradients it finds") {
  expect_cuda_adds_to_gradients<ClassifierCase>(ClassifierSizes{7, 5, 13}, 3);
}

TEST_CASE("the classifier on the GPU has the same bits on every run") {
  const ClassifierSizes sizes = GENERATE(ClassifierSizes{7, 5, 601}, ClassifierSizes{5, 8, 64});
  for (const Dtype dtype : {Dtype::f32, Dtype::f64})
    expect_same_bits_of([&] { return ClassifierCase(dtype, sizes, 3); });
  for (const Dtype stored : {Dtype::f32, Dtype::bf16})
    expect_same_bits_of([&] { return Bf16ClassifierCase(sizes, 3, stored); });
  expect_same_bits_of([&] { return Bf16ClassifierCase(sizes, 3, Dtype::bf16, Dtype::bf16); });
}

TEST_CASE("the classifier on the GPU rounds f32 operands to bf16 where that is asked") {
  Bf16ClassifierCase on_cpu({7, 6, 13}, 3), on_cuda({7, 6, 13}, 3);
  run_case_on(Device::cpu, on_cpu);
  run_case_on(Device::cuda, on_cuda);
  // The logits' gradients are rounded too: a different last bit of an exponential is 2^-8 of one of
  // them.
  expect_close(outputs_of_case(on_cuda), outputs_of_case(on_cpu), 1.0 / 256);
}

// The logits of a run are f32, so that losses are; the gradient of x is rounded when it is stored.
TEST_CASE("the classifier stored in bf16 on the GPU is close to the CPU") {
  const std::int64_t V = GENERATE(13, 64, 1100);
  Bf16ClassifierCase on_cpu({7, 6, V}, 3, Dtype::bf16), on_cuda({7, 6, V}, 3, Dtype::bf16);
  REQUIRE(on_cuda.forward.x.dtype == Dtype::bf16);
  REQUIRE(on_cuda.forward.weight.dtype == Dtype::bf16);
  REQUIRE(on_cuda.forward.logits.dtype == Dtype::f32);
  REQUIRE(on_cuda.forward.losses.dtype == Dtype::f32);
  run_case_on(Device::cpu, on_cpu);
  run_case_on(Device::cuda, on_cuda);
  const ClassifierLossAndGradients &truth = on_cpu.backward, &found = on_cuda.backward;
  expect_close({{"losses", on_cuda.forward.losses}, {"losses and more", found.losses}},
               {{"losses", on_cpu.forward.losses}, {"losses and more", truth.losses}},
               tolerance::f32);
  expect_close({{"dx", found.dx}, {"dweight", found.dweight}},
               {{"dx", truth.dx}, {"dweight", truth.dweight}}, 1.0 / 128);  // two neighbours
}

TEST_CASE("the classifier on the GPU takes logits stored in bf16") {
  const std::int64_t V = GENERATE(13, 64);
  Bf16ClassifierCase on_cpu({7, 6, V}, 3, Dtype::bf16, Dtype::bf16),
      on_cuda({7, 6, V}, 3, Dtype::bf16, Dtype::bf16);
  run_case_on(Device::cpu, on_cpu);
  run_case_on(Device::cuda, on_cuda);
  expect_close(outputs_of_case(on_cuda), outputs_of_case(on_cpu), tolerance::bf16);
}

TEST_CASE("large logits do not overflow on the GPU") {
  ClassifierCase item(Dtype::f32, {3, 4, 9});
  for (const Tensor& tensor : {item.forward.x, item.forward.weight}) {
    Values values = values_of(tensor);
    for (double& value : values) value *= 100;
    assign(tensor, values);
  }
  ClassifierCase same(Dtype::f32, {3, 4, 9});
  assign(same.forward.x, values_of(item.forward.x));
  assign(same.forward.weight, values_of(item.forward.weight));
  run_case_on(Device::cpu, item);
  run_case_on(Device::cuda, same);
  expect_close(outputs_of_case(same), outputs_of_case(item), tolerance::f32);
}

TEST_CASE("a NaN among the logits is a NaN in the loss of its row on the GPU") {
  ClassifierCase item(Dtype::f32, {3, 4, 9});
  Values x = values_of(item.forward.x);
  x[5] = std::nan("");
  assign(item.forward.x, x);
  run_on(Device::cuda, item.forward);
  const Values losses = values_of(item.forward.losses);
  CHECK(std::isfinite(losses[0]));
  CHECK(std::isnan(losses[1]));
  CHECK(std::isfinite(losses[2]));
}

}  // namespace metascale
