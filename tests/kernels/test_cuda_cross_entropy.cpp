// The classifier on the GPU against the CPU, whose own tests are in test_cross_entropy.cpp.
// Vocabularies: less and more than the threads of a row, whole packs of 16 bytes and not.
#include "tests/kernels/cross_entropy_cases.hpp"
#include "tests/kernels/cuda_device.hpp"

namespace metascale {
namespace {

using namespace testing;

// Chunks of this many rows: several, the last one shorter.
template <typename Case>
void cut(Case& item, std::int64_t rows) {
  Tensor& logits = item.backward.logits;
  logits.shape = {rows, logits.shape[1]};
  item.forward.logits = logits;
}

struct ChunkedCase : ClassifierCase {
  ChunkedCase(Dtype dtype, ClassifierSizes size, std::int64_t rows) : ClassifierCase(dtype, size) {
    cut(*this, rows);
  }
};

struct ChunkedBf16Case : Bf16ClassifierCase {
  ChunkedBf16Case(ClassifierSizes size, std::int64_t rows) : Bf16ClassifierCase(size) {
    cut(*this, rows);
  }
};

// Activations, logits and a copy of the weight in bf16; losses, scales and dweight in f32.
struct StoredBf16Case {
  Memory memory{Dtype::bf16};
  ClassifierLoss forward;
  ClassifierLossAndGradients backward;

  StoredBf16Case(ClassifierSizes size, std::int64_t rows) {
    const auto [R, D, V] = size;
    const auto f32 = [&](Shape shape, bool fresh = false) {
      Tensor result = memory.output(shape, Dtype::f32);
      result.fresh = fresh;
      return result;
    };
    const Tensor x = memory.random({R, D}), weight = memory.random({V, D});
    const Tensor targets = memory.indices({R}, V), logits = memory.output({rows, V});
    const Tensor scales = f32({R});
    assign(scales, Values(std::size_t(R), 0.5));
    forward = {.losses = f32({R}),
               .x = x,
               .weight = weight,
               .targets = targets,
               .logits = logits,
               .bf16 = true};
    backward = {.losses = f32({R}),
                .dx = memory.gradient({R, D}),
                .dweight = f32({V, D}, true),
                .x = x,
                .weight = weight,
                .targets = targets,
                .scales = scales,
                .logits = logits,
                .bf16 = true};
    backward.scratch = memory.output({std::max<std::int64_t>(backward.scratch_elements(), 1)});
    forward.scratch = backward.scratch;
  }
};

}  // namespace

TEST_CASE("the classifier on the GPU is close to the CPU") {
  expect_cuda_close_to_cpu<ChunkedCase>(ClassifierSizes{7, 5, 13}, 3);
  expect_cuda_close_to_cpu<ChunkedCase>(ClassifierSizes{5, 8, 64}, 5);
  expect_cuda_close_to_cpu<ChunkedCase>(ClassifierSizes{2, 3, 1100}, 1);
  expect_cuda_close_to_cpu<ChunkedCase>(ClassifierSizes{2, 3, 2060}, 2);
}

TEST_CASE("the classifier on the GPU adds to the gradients it finds") {
  expect_cuda_adds_to_gradients<ChunkedCase>(ClassifierSizes{7, 5, 13}, 3);
}

TEST_CASE("the classifier on the GPU has the same bits on every run") {
  expect_same_bits_on_every_run<ChunkedCase>(ClassifierSizes{7, 5, 601}, 3);
}

TEST_CASE("the classifier on the GPU rounds f32 operands to bf16 where that is asked") {
  ChunkedBf16Case on_cpu({7, 6, 13}, 3), on_cuda({7, 6, 13}, 3);
  run_case_on(Device::cpu, on_cpu);
  run_case_on(Device::cuda, on_cuda);
  // The logits' gradients are rounded too: a different last bit of an exponential is 2^-8 of one of
  // them.
  expect_close(outputs_of_case(on_cuda), outputs_of_case(on_cpu), 1.0 / 256);
}

TEST_CASE("the classifier stored in bf16 on the GPU is close to the CPU") {
  const std::int64_t V = GENERATE(13, 64);
  StoredBf16Case on_cpu({7, 6, V}, 3), on_cuda({7, 6, V}, 3);
  run_case_on(Device::cpu, on_cpu);
  run_case_on(Device::cuda, on_cuda);
  expect_close(outputs_of_case(on_cuda), outputs_of_case(on_cpu), tolerance::bf16);  // bf16 logits
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
