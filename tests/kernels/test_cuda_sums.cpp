// Embeddings and the optimizer on the GPU against the CPU, whose own tests are in
// test_embedding.cpp and test_optimizer.cpp. Sizes: more than a warp or a block, no multiple; rows
// of whole packs [packs.cuh] and not.
#include "tests/kernels/cuda_device.hpp"
#include "tests/kernels/embedding_cases.hpp"
#include "tests/kernels/optimizer_cases.hpp"

namespace metascale {

using namespace testing;

TEST_CASE("embeddings on the GPU are close to the CPU") {
  expect_cuda_close_to_cpu<EmbeddingCase>(101, 7, 43);   // every token many times
  expect_cuda_close_to_cpu<EmbeddingCase>(5, 1000, 43);  // most tokens never
  expect_cuda_close_to_cpu<EmbeddingCase>(301, 60, 264);
  expect_cuda_adds_to_gradients<EmbeddingCase>(101, 7, 43);
  expect_cuda_adds_to_gradients<EmbeddingCase>(301, 60, 264);
}

TEST_CASE("embeddings on the GPU have the same bits on every run") {
  expect_same_bits_on_every_run<EmbeddingCase>(101, 7, 43);
  expect_same_bits_on_every_run<EmbeddingCase>(301, 60, 264);
}

TEST_CASE("AdamW on the GPU is close to the CPU") {
  const std::int64_t time = GENERATE(1, 100);
  expect_cuda_close_to_cpu<AdamWCase>(301, time);
}

TEST_CASE("AdamW over segments on the GPU has the bits of AdamW on each alone") {
  expect_same_bits_as_one_by_one(segments_of_a_shard(), three_groups(),
                                 [](const AdamW& op) { run_on(Device::cuda, op); });
}

TEST_CASE("AdamW on the GPU takes more groups than one launch") {
  const std::vector<AdamSegment> segments = side_by_side(std::vector<std::int64_t>(70, 3));
  std::vector<AdamGroup> groups;
  for (int i = 0; i < 70; ++i) groups.push_back({.rate = 0.001 * i, .time = 1 + i});
  expect_same_bits_as_one_by_one(segments, groups,
                                 [](const AdamW& op) { run_on(Device::cuda, op); });
}

TEST_CASE("a shard on the GPU is close to the CPU and the same on every run") {
  expect_cuda_close_to_cpu<AdamWCase>(segments_of_a_shard(), three_groups());
  for (const Dtype dtype : {Dtype::f32, Dtype::f64})
    expect_same_bits_of([&] { return AdamWCase(dtype, segments_of_a_shard(), three_groups()); });
  for (const bool stochastic : {false, true})
    expect_same_bits_of([&] {
      AdamWCase item(Dtype::f32, segments_of_a_shard(), three_groups());
      item.forward.copy = item.memory.output(item.forward.parameters.shape, Dtype::bf16);
      item.forward.rounding = {.stochastic = stochastic, .step = 9, .first = 17};
      return item;
    });
}

TEST_CASE("a sum of squares on the GPU is close to the CPU and the same on every run") {
  const std::int64_t n = GENERATE(1, 4096, 10000);
  expect_cuda_close_to_cpu<SumOfSquaresCase>(n);
  for (const Dtype dtype : {Dtype::f32, Dtype::f64})
    expect_same_bits_of([&] { return SumOfSquaresCase(dtype, n); });
}

}  // namespace metascale
