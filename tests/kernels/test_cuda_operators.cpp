// Every operator that the benchmark knows, at its small sizes, through the benchmark's own
// comparison.
#include "kernels/operator_bench.hpp"
#include "tests/kernels/cuda_device.hpp"

namespace metascale {

TEST_CASE("every operator on the GPU is close to the CPU") {
  const Dtype storage = GENERATE(Dtype::f32, Dtype::bf16);
  int rows = 0;
  measure_operators(testing::gpu_of_tests(), {.only_distances = true, .storage = storage}, {},
                    [&](const OperatorResult& row) {
                      CAPTURE(row.name, name_of(storage), row.error);
                      CHECK(row.close);
                      ++rows;
                    });
  CHECK(rows >= 57);
}

TEST_CASE("a part of the operators can be asked for by its family's name") {
  std::vector<std::string> names;
  measure_operators(testing::gpu_of_tests(),
                    {.only_distances = true, .storage = Dtype::f32, .part = "self-state"}, {},
                    [&](const OperatorResult& row) { names.push_back(row.name); });
  CHECK(names == std::vector<std::string>{"self-state query forward", "self-state query backward",
                                          "self-state mix forward", "self-state mix backward"});
}

}  // namespace metascale
