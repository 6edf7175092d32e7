// WKV7 on the GPU against the CPU, whose own tests are in test_wkv7.cpp and test_wkv7_golden.cpp.
// Sizes: chunks of 16 tokens that are full and not, heads that fill a tile and do not.
#include "tests/kernels/cuda_device.hpp"
#include "tests/kernels/wkv7_case.hpp"

namespace metascale {

using namespace testing;

namespace {

constexpr Wkv7Sizes sizes_of_heads(std::int64_t N) {
  return {.B = 1, .T = 19, .H = 2, .heads_read = 1, .N = N};
}

void run_all_on(Device device, const Wkv7Case& item) {
  run_on(device, item.forward);
  run_on(device, item.read_out);
  run_on(device, item.query_backward);
  run_on(device, item.backward);
}

void expect_close_to_cpu(Dtype dtype, const Wkv7Sizes& sizes, WkvRead read) {
  INFO("heads of " << sizes.N << " channels in " << name_of(dtype));
  const Wkv7Case on_cpu(dtype, sizes, read), on_cuda(dtype, sizes, read);
  run_all_on(Device::cpu, on_cpu);
  run_all_on(Device::cuda, on_cuda);
  expect_close(on_cuda.outputs(), on_cpu.outputs(),
               dtype == Dtype::f64 ? tolerance::f64 : tolerance::f32);
}

}  // namespace

TEST_CASE("WKV7 on the GPU is close to the CPU for every size of head") {
  const WkvRead read = GENERATE(WkvRead::previous, WkvRead::current);
  const std::int64_t N = GENERATE(5, 8, 16, 24, 32, 64);
  expect_close_to_cpu(Dtype::f32, sizes_of_heads(N), read);
}

TEST_CASE("WKV7 on the GPU is close to the CPU for the largest heads") {
  expect_close_to_cpu(Dtype::f32, {.B = 1, .T = 18, .H = 1, .heads_read = 1, .N = 128},
                      WkvRead::previous);
  expect_close_to_cpu(Dtype::f32, {.B = 1, .T = 3, .H = 1, .heads_read = 1, .N = 100},
                      WkvRead::current);
}

TEST_CASE("WKV7 on the GPU is close to the CPU in f64") {
  const std::int64_t N = GENERATE(7, 16, 32, 64);
  expect_close_to_cpu(Dtype::f64, sizes_of_heads(N), WkvRead::previous);
}

TEST_CASE("WKV7 on the GPU is close to the CPU for sequences of any length") {
  const std::int64_t T = GENERATE(1, 4, 15, 16, 17, 37);
  const WkvRead read = GENERATE(WkvRead::previous, WkvRead::current);
  expect_close_to_cpu(Dtype::f32, {.B = 2, .T = T, .H = 3, .heads_read = 2, .N = 16}, read);
}

TEST_CASE("WKV7 on the GPU adds to the gradients it finds") {
  const auto prepared = [] {
    Wkv7Case item(Dtype::f64, sizes_of_heads(16), WkvRead::previous);
    unsigned seed = 77;
    const auto fill = [&](const char*, Tensor& tensor, Use use) {
      if (use != Use::add) return;
      assign(tensor, random_values(tensor.size(), seed++));
      tensor.fresh = false;
    };
    Wkv7Backward::operands(item.backward, fill);
    Wkv7QueryBackward::operands(item.query_backward, fill);
    return item;
  };
  const Wkv7Case on_cpu = prepared(), on_cuda = prepared();
  run_all_on(Device::cpu, on_cpu);
  run_all_on(Device::cuda, on_cuda);
  expect_close(on_cuda.outputs(), on_cpu.outputs(), tolerance::f64);
}

TEST_CASE("WKV7 on the GPU does without its optional operands") {
  Wkv7Case on_cpu(Dtype::f32, sizes_of_heads(32), WkvRead::previous),
      on_cuda(Dtype::f32, sizes_of_heads(32), WkvRead::previous);
  for (Wkv7Case* item : {&on_cpu, &on_cuda}) {
    item->forward.initial_state = item->forward.final_state = {};
    item->backward.q = item->backward.de = item->backward.dfinal_state = {};
    item->backward.dinitial_state = {};
  }
  run_all_on(Device::cpu, on_cpu);
  run_all_on(Device::cuda, on_cuda);
  expect_close(on_cuda.outputs(), on_cpu.outputs(), tolerance::f32);
  const Values kept = values_of(on_cuda.forward.y);
  on_cuda.forward.u = on_cuda.forward.checkpoints = {};
  run_on(Device::cuda, on_cuda.forward);
  CHECK(values_of(on_cuda.forward.y) == kept);
}

// Nearly parallel removal keys with a rate near 1 and the fastest decay: where states that are
// rebuilt by dividing by w lose everything.
TEST_CASE("repeated keys at the fastest decay keep the precision of f32 on the GPU") {
  const Wkv7Sizes sizes{.B = 1, .T = 32, .H = 1, .heads_read = 1, .N = 32};
  const Wkv7Case narrow(Dtype::f32, sizes, WkvRead::previous),
      wide(Dtype::f64, sizes, WkvRead::previous);
  for (const Wkv7Case* item : {&narrow, &wide}) {
    Values a = random_values(item->forward.a.size(), 5), b = a;
    for (std::size_t i = 0; i < a.size(); ++i) {
      a[i] = double(float(-0.1767767 * ((i % 32) % 2 ? 1 : -1) + 1e-3 * a[i]));  // |a| near 1
      b[i] = double(float(-0.99 * a[i]));
    }
    assign(item->forward.a, a);
    assign(item->forward.b, b);
    assign(item->forward.d, Values(a.size(), 12.0));
  }
  run_all_on(Device::cuda, narrow);
  run_all_on(Device::cpu, wide);
  expect_close(narrow.outputs(), wide.outputs(), tolerance::f32);
}

TEST_CASE("WKV7 on the GPU has the same bits on every run") {
  const Dtype storage = GENERATE(Dtype::f32, Dtype::f64, Dtype::bf16);
  const Wkv7Sizes sizes{.B = 1, .T = 18, .H = 2, .heads_read = 1, .N = GENERATE(7, 64)};
  CAPTURE(name_of(storage), sizes.N);
  const Wkv7Case first(storage, sizes, WkvRead::previous);
  run_all_on(Device::cuda, first);
  const auto expect_the_same_again = [&] {
    const Wkv7Case again(storage, sizes, WkvRead::previous);
    run_all_on(Device::cuda, again);
    const std::vector<Named> a = first.outputs(), b = again.outputs();
    for (std::size_t i = 0; i < a.size(); ++i) {
      INFO("operand " << a[i].name);
      CHECK(same_bits(a[i].tensor, b[i].tensor));
    }
  };
  for_other_orders(expect_the_same_again);
}

}  // namespace metascale
