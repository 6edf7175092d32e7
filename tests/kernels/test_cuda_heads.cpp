// The time mix's chains and the Self-State Encoder on the GPU against the CPU, whose own tests are
// in test_time_mix.cpp and test_self_state.cpp. Sizes: heads of less and more than a warp, rows of
// no whole blocks.
#include "tests/kernels/cuda_device.hpp"
#include "tests/kernels/self_state_cases.hpp"
#include "tests/kernels/time_mix_cases.hpp"

namespace metascale {

using namespace testing;

TEST_CASE("time mix operands on the GPU are close to the CPU") {
  expect_cuda_close_to_cpu<TimeMixOperandsCase>(37, 3, 64);
  expect_cuda_close_to_cpu<TimeMixOperandsCase>(5, 2, 7, Layer::first);
  expect_cuda_close_to_cpu<TimeMixOperandsCase>(3, 1, 128);
  expect_cuda_close_to_cpu<TimeMixOperandsCase>(200, 2, 48);  // several groups of rows
  expect_cuda_close_to_cpu<TimeMixOperandsCase>(200, 5, 64);  // and several heads of a warp
  expect_cuda_adds_to_gradients<TimeMixOperandsCase>(5, 3, 33);
  expect_cuda_adds_to_gradients<TimeMixOperandsCase>(200, 2, 48);
  expect_cuda_adds_to_gradients<TimeMixOperandsCase>(200, 5, 64);
}

TEST_CASE("time mix operands on the GPU have the same bits on every run") {
  expect_same_bits_on_every_run<TimeMixOperandsCase>(37, 3, 33);
  expect_same_bits_on_every_run<TimeMixOperandsCase>(200, 2, 48);
  expect_same_bits_on_every_run<TimeMixOperandsCase>(200, 5, 64);
}

TEST_CASE("a key of zeros on the GPU gives what it gives on the CPU") {
  TimeMixOperandsCase on_cpu(Dtype::f32, 2, 2, 8), on_cuda(Dtype::f32, 2, 2, 8);
  for (TimeMixOperandsCase* item : {&on_cpu, &on_cuda})
    assign(item->forward.k_raw, Values(32, 0.0));
  run_case_on(Device::cpu, on_cpu);
  run_case_on(Device::cuda, on_cuda);
  expect_close(outputs_of_case(on_cuda), outputs_of_case(on_cpu), tolerance::f32);
}

TEST_CASE("the time mix output on the GPU is close to the CPU") {
  expect_cuda_close_to_cpu<TimeMixOutputCase>(37, 3, 64);
  expect_cuda_close_to_cpu<TimeMixOutputCase>(5, 2, 7);
  expect_cuda_close_to_cpu<TimeMixOutputCase>(3, 1, 128);
  expect_cuda_close_to_cpu<TimeMixOutputCase>(200, 2, 48);
  expect_cuda_close_to_cpu<TimeMixOutputCase>(200, 5, 64);
  expect_cuda_adds_to_gradients<TimeMixOutputCase>(5, 3, 33);
  expect_cuda_adds_to_gradients<TimeMixOutputCase>(200, 2, 48);
  expect_cuda_adds_to_gradients<TimeMixOutputCase>(200, 5, 64);
}

TEST_CASE("the time mix output on the GPU may be without another reader of yhat") {
  TimeMixOutputCase on_cpu(Dtype::f64, 5, 2, 9), on_cuda(Dtype::f64, 5, 2, 9);
  on_cpu.backward.dyhat = on_cuda.backward.dyhat = {};
  run_case_on(Device::cpu, on_cpu);
  run_case_on(Device::cuda, on_cuda);
  expect_close(outputs_of_case(on_cuda), outputs_of_case(on_cpu), tolerance::f64);
}

TEST_CASE("the time mix output on the GPU has the same bits on every run") {
  expect_same_bits_on_every_run<TimeMixOutputCase>(37, 3, 33);
  expect_same_bits_on_every_run<TimeMixOutputCase>(200, 2, 48);
  expect_same_bits_on_every_run<TimeMixOutputCase>(200, 5, 64);
}

TEST_CASE("self-state queries on the GPU are close to the CPU") {
  expect_cuda_close_to_cpu<SelfStateQueryCase>(7, 3, 3, 64);
  expect_cuda_close_to_cpu<SelfStateQueryCase>(7, 3, 2, 33);  // a block without a reader
  expect_cuda_close_to_cpu<SelfStateQueryCase>(5, 2, 13, 9);  // more readers than are kept at once
  expect_cuda_adds_to_gradients<SelfStateQueryCase>(5, 3, 2, 9);
  expect_cuda_adds_to_gradients<SelfStateQueryCase>(5, 2, 13, 9);
}

TEST_CASE("self-state mixes on the GPU are close to the CPU") {
  expect_cuda_close_to_cpu<SelfStateMixCase>(7, 3, 3, 3, 64);
  expect_cuda_close_to_cpu<SelfStateMixCase>(70, 3, 5, 2, 9);  // blocks and heads without a part
  expect_cuda_close_to_cpu<SelfStateMixCase>(7, 2, 7, 5, 33);  // blocks with several heads
  expect_cuda_close_to_cpu<SelfStateMixCase>(200, 3, 5, 4, 16);
  expect_cuda_adds_to_gradients<SelfStateMixCase>(7, 3, 5, 2, 9);
  expect_cuda_adds_to_gradients<SelfStateMixCase>(200, 3, 5, 4, 16);
}

TEST_CASE("self-state queries and mixes of no rows on the GPU are nothing") {
  SelfStateQueryCase query(Dtype::f64, 0, 3, 2, 9);
  run_case_on(Device::cuda, query);
  SelfStateMixCase mix(Dtype::f64, 0, 3, 5, 2, 9);
  mix.backward.dgamma.fresh = false;
  const Values before(std::size_t(mix.backward.dgamma.size()), 2.0);
  assign(mix.backward.dgamma, before);
  run_case_on(Device::cuda, mix);
  CHECK(values_of(mix.backward.dgamma) == before);
}

TEST_CASE("the Self-State Encoder on the GPU has the same bits on every run") {
  expect_same_bits_on_every_run<SelfStateQueryCase>(7, 3, 4, 33);
  expect_same_bits_on_every_run<SelfStateQueryCase>(7, 3, 3, 64);
  expect_same_bits_on_every_run<SelfStateMixCase>(70, 3, 5, 4, 9);
  expect_same_bits_on_every_run<SelfStateMixCase>(200, 3, 5, 4, 16);
}

TEST_CASE("heads that are too wide for the lanes of a warp are refused with their width") {
  const SelfStateQueryCase item(Dtype::f32, 3, 2, 2, 129);
  CHECK_THROWS_WITH(run_on(Device::cuda, item.forward),
                    Catch::StartsWith("an operator on a GPU was given heads of 129 channels"));
}

}  // namespace metascale
