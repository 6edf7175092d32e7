#include "tests/kernels/cross_entropy_cases.hpp"

namespace metascale {
namespace {

using namespace testing;

// Chunks of 16 rows need a vocabulary above 2^16; this one has 2 chunks.
constexpr ClassifierSizes chunked{20, 3, 66000};

}  // namespace

TEST_CASE("the loss of equal logits is the logarithm of the vocabulary") {
  ClassifierCase item(GENERATE(Dtype::f32, Dtype::f64), {3, 4, 11});
  assign(item.forward.x, Values(12, 0.0));
  Queue queue;
  run(queue, item.forward);
  for (const double loss : values_of(item.forward.losses))
    CHECK(loss == Approx(std::log(11.0)).epsilon(1e-6));
}

TEST_CASE("the loss is the negative logarithm of the target's probability") {
  ClassifierCase item(Dtype::f64, {2, 1, 3});
  assign(item.forward.x, {1, 2});
  assign(item.forward.weight, {std::log(1.0), std::log(2.0), std::log(5.0)});
  assign(item.forward.targets, {2, 1});
  Queue queue;
  run(queue, item.forward);
  const Values losses = values_of(item.forward.losses);
  CHECK(losses[0] == Approx(-std::log(5.0 / 8)).epsilon(1e-12));
  CHECK(losses[1] == Approx(-std::log(4.0 / 30)).epsilon(1e-12));
}

TEST_CASE("the losses are the same with and without gradients, and whatever the row's weight") {
  ClassifierCase item(Dtype::f64, {13, 6, 29});
  Values scales = values_of(item.backward.scales);
  scales[3] = 0;
  assign(item.backward.scales, scales);
  Queue queue;
  run_case(queue, item);
  expect_close({{"losses", item.backward.losses}}, {{"losses", item.forward.losses}}, 1e-14);
}

TEST_CASE("logits far beyond the range of exp give finite losses and gradients") {
  ClassifierCase item(Dtype::f32, {2, 1, 3});
  assign(item.forward.x, {1000, -1000});
  Queue queue;
  run_case(queue, item);
  for (const Named& output : outputs_of_case(item))
    for (const double value : values_of(output.tensor)) CHECK(std::isfinite(value));
}

TEST_CASE("the classifier has the gradients of finite differences") {
  ClassifierCase item(Dtype::f64, {9, 5, 23});
  expect_gradients_of_differences(item, {{item.forward.losses, item.backward.scales}},
                                  {{"x", item.forward.x, item.backward.dx},
                                   {"weight", item.forward.weight, item.backward.dweight}});
}

TEST_CASE("chunks of rows give the losses and gradients of all rows together") {
  ClassifierCase item(Dtype::f64, chunked);
  REQUIRE(item.forward.logits.shape[0] == 16);
  expect_gradients_of_differences(item, {{item.forward.losses, item.backward.scales}},
                                  {{"x", item.forward.x, item.backward.dx}}, {.directions = 1});
  // sum_v dz_rv = 0, so that the columns of dW sum to 0 over the vocabulary.
  const Values dweight = values_of(item.backward.dweight);
  double sum = 0;
  for (std::size_t i = 0; i < dweight.size(); i += 3) sum += dweight[i];
  CHECK(sum == Approx(0).margin(1e-10));
}

TEST_CASE("a row of weight 0 gives no gradient") {
  ClassifierCase item(Dtype::f64, {2, 3, 5});
  assign(item.backward.scales, {0, 1});
  Queue queue;
  run(queue, item.backward);
  const Values dx = values_of(item.backward.dx);
  CHECK(Values(dx.begin(), dx.begin() + 3) == Values(3, 0.0));
  CHECK(norm(Values(dx.begin() + 3, dx.end())) > 0);
}

TEST_CASE("the classifier adds to the gradients it finds") {
  Queue queue;
  expect_adds_to_the_gradients_it_finds(queue, ClassifierCase(Dtype::f64, {9, 5, 23}).backward);
  expect_adds_to_the_gradients_it_finds(queue, ClassifierCase(Dtype::f64, chunked).backward);
  expect_adds_to_the_gradients_it_finds(queue, Bf16ClassifierCase({9, 5, 23}).backward, 1e-6);
}

TEST_CASE("the classifier in f32 is close to f64") {
  expect_f32_close_to_f64<ClassifierCase>(ClassifierSizes{65, 33, 300});
  expect_f32_close_to_f64<ClassifierCase>(chunked);
}

TEST_CASE("the classifier in bf16 is near f64, and not equal to f32") {
  Queue queue;
  Bf16ClassifierCase narrow({65, 33, 300});
  ClassifierCase single(Dtype::f32, {65, 33, 300}), wide(Dtype::f64, {65, 33, 300});
  run_case(queue, narrow);
  run_case(queue, single);
  run_case(queue, wide);
  expect_close(outputs_of_case(narrow), outputs_of_case(wide), tolerance::bf16);
  CHECK(relative_distance(narrow.backward.dweight, single.backward.dweight) > 1e-4);
}

TEST_CASE("a weight that is bf16 already is used as it is") {
  Queue queue;
  Bf16ClassifierCase item({20, 6, 30}), direct({20, 6, 30});
  direct.backward.weight = direct.memory.output({30, 6}, Dtype::bf16);
  assign(direct.backward.weight, values_of(item.backward.weight));
  CHECK(direct.backward.scratch_elements() == item.backward.scratch_elements() - 30 * 6);
  run(queue, item.backward);
  run(queue, direct.backward);
  CHECK(same_bits(direct.backward.dx, item.backward.dx));
  CHECK(same_bits(direct.backward.losses, item.backward.losses));
}

TEST_CASE("a classifier stored in bf16 rounds what is not, and gives what rounded operands give") {
  const Dtype logits = GENERATE(Dtype::f32, Dtype::bf16);
  CAPTURE(name_of(logits));
  Queue queue;
  Bf16ClassifierCase stored({20, 6, 30}, 7, Dtype::bf16, logits), rounds({20, 6, 30}, 7);
  REQUIRE(stored.backward.logits.dtype == logits);
  CHECK(stored.forward.scratch_elements() == 0);
  CHECK(stored.backward.scratch_elements() == (logits == Dtype::f32 ? 7 * 30 : 0));
  for (const auto& [to, from] : {std::pair{rounds.forward.x, stored.forward.x},
                                 std::pair{rounds.forward.weight, stored.forward.weight}})
    assign(to, values_of(from));
  run_case(queue, stored);
  run_case(queue, rounds);
  CHECK(same_bits(stored.forward.losses, rounds.forward.losses));
  CHECK(same_bits(stored.backward.losses, rounds.backward.losses));
  CHECK(same_bits(stored.backward.dweight, rounds.backward.dweight));
  const Values dx = values_of(stored.backward.dx), exact = values_of(rounds.backward.dx);
  for (std::size_t i = 0; i < dx.size(); ++i)
    REQUIRE(dx[i] == double(float(bfloat16(float(exact[i])))));
}

TEST_CASE("the classifier names the operand that is wrong") {
  Queue queue;
  ClassifierCase item(Dtype::f32, {9, 5, 23});
  ClassifierLoss forward = item.forward;
  forward.weight.shape = {23, 4};
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "ClassifierLoss.weight has shape (23, 4) but must have (23, 5): one row per token, as wide "
        "as x");
  forward = item.forward;
  forward.logits.shape = {10, 23};
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "ClassifierLoss.logits has shape (10, 23) but must have (9, 23): one chunk of rows "
        "(kernels/cross_entropy.hpp: classifier_chunk)");
  ClassifierLossAndGradients backward = item.backward;
  backward.scales.shape = {8};
  CHECK(message_of_error([&] { run(queue, backward); }) ==
        "ClassifierLossAndGradients.scales has shape (8) but must have (9): one factor per row of "
        "x");
  backward = item.backward;
  backward.bf16 = true;
  backward.scratch = item.memory.output({3}, Dtype::bf16);
  CHECK(message_of_error([&] { run(queue, backward); }) ==
        "ClassifierLossAndGradients.scratch has 3 elements but must have 367: the rounded operands "
        "(ClassifierLossAndGradients::scratch_elements)");
}

TEST_CASE("a classifier's chunk keeps the logits near 4 MiB and has at least 16 rows") {
  CHECK(classifier_chunk(100000, 256) == 4096);
  CHECK(classifier_chunk(100, 256) == 100);
  CHECK(classifier_chunk(100000, 1 << 20) == 16);
}

}  // namespace metascale
