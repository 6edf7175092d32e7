// Norms on the GPU against the CPU, whose own tests are in test_norm.cpp. Sizes: less and more than
// a warp, a block's threads and the lanes of a column sum, none a multiple of them; rows of whole
// packs [packs.cuh] and not; enough of them for several groups [partial_sums.cuh].
#include "tests/kernels/cuda_device.hpp"
#include "tests/kernels/norm_cases.hpp"

namespace metascale {

using namespace testing;

TEST_CASE("norms on the GPU are close to the CPU") {
  expect_cuda_close_to_cpu<LayerNormCase>(70, 33);
  expect_cuda_close_to_cpu<LayerNormCase>(3, 301);
  expect_cuda_close_to_cpu<LayerNormCase>(200, 40);
  expect_cuda_close_to_cpu<LayerNormCase>(3, 304);
  expect_cuda_close_to_cpu<RmsNormCase>(70, 33);
  expect_cuda_close_to_cpu<RmsNormCase>(3, 301);
  expect_cuda_close_to_cpu<RmsNormCase>(200, 40);
  expect_cuda_close_to_cpu<HeadNormCase>(7, 3, 9);
  expect_cuda_close_to_cpu<HeadNormCase>(3, 2, 64);
}

TEST_CASE("norms that add are on the GPU close to the CPU, and the same on every run") {
  const int summands = GENERATE(2, 3);
  expect_cuda_close_to_cpu<LayerNormCase>(70, 33, summands);
  expect_cuda_close_to_cpu<RmsNormCase>(3, 301, summands);
  expect_cuda_close_to_cpu<LayerNormCase>(5, 304, summands);
  expect_cuda_close_to_cpu<RmsNormCase>(5, 304, summands);
  expect_same_bits_on_every_run<LayerNormCase>(70, 33, summands);
  expect_same_bits_on_every_run<RmsNormCase>(70, 33, summands);
  expect_same_bits_on_every_run<LayerNormCase>(5, 304, summands);
  expect_same_bits_on_every_run<RmsNormCase>(5, 304, summands);
}

TEST_CASE("a norm that adds leaves on the GPU the bits of a sum and a norm behind it") {
  const Dtype storage = GENERATE(Dtype::f32, Dtype::f64, Dtype::bf16);
  const auto execute = [](const auto& op) { run_on(Device::cuda, op); };
  expect_bits_of_add_and_norm<LayerNormCase>(storage, execute);
  expect_bits_of_add_and_norm<RmsNormCase>(storage, execute);
}

TEST_CASE("norms on the GPU add to the gradients they find") {
  expect_cuda_adds_to_gradients<LayerNormCase>(7, 33);
  expect_cuda_adds_to_gradients<RmsNormCase>(7, 33);
  expect_cuda_adds_to_gradients<LayerNormCase>(200, 40);
  expect_cuda_adds_to_gradients<RmsNormCase>(200, 40);
  expect_cuda_adds_to_gradients<HeadNormCase>(5, 3, 9);
}

TEST_CASE("norms on the GPU have the same bits on every run") {
  expect_same_bits_on_every_run<LayerNormCase>(70, 33);
  expect_same_bits_on_every_run<RmsNormCase>(70, 33);
  expect_same_bits_on_every_run<LayerNormCase>(200, 40);
  expect_same_bits_on_every_run<RmsNormCase>(200, 40);
  expect_same_bits_on_every_run<HeadNormCase>(7, 3, 9);
  expect_same_bits_on_every_run<HeadNormCase>(3, 2, 64);
}

TEST_CASE("a row that does not fit 48 KiB is normalised on the GPU too") {
  expect_cuda_close_to_cpu<LayerNormCase>(1, 13000);
}

TEST_CASE("a norm of no rows leaves the gradients of its weights as they are") {
  LayerNormCase norm(Dtype::f64, 0, 5);
  norm.backward.dweight.fresh = norm.backward.dbias.fresh = false;
  assign(norm.backward.dweight, Values(5, 2.0));
  assign(norm.backward.dbias, Values(5, 3.0));
  run_case_on(Device::cuda, norm);
  CHECK(values_of(norm.backward.dweight) == Values(5, 2.0));
  CHECK(values_of(norm.backward.dbias) == Values(5, 3.0));
}

}  // namespace metascale
