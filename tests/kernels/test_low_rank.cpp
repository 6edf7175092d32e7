#include "kernels/matmul.hpp"
#include "tests/kernels/low_rank_cases.hpp"
#include "tests/kernels/token_shift_cases.hpp"

namespace metascale {
namespace {

using namespace testing;

const Ranks odd_ranks{5, 3, 7, 1};

std::vector<Differentiated> operands_of(const JoinFactorsCase& item) {
  std::vector<Differentiated> operands;
  for (std::size_t m = 0; m < std::size_t(item.forward.maps); ++m) {
    operands.push_back(
        {concat("weight[", m, "]"), item.forward.weight[m], item.backward.dweight[m]});
    operands.push_back({concat("mix[", m, "]"), item.forward.mix[m], item.backward.dmix[m]});
  }
  return operands;
}

std::vector<Result> results_of(const SplitHiddenCase& item) {
  std::vector<Result> results;
  for (std::size_t m = 0; m < std::size_t(item.forward.maps); ++m)
    results.push_back({item.forward.hidden[m], item.backward.dhidden[m]});
  return results;
}

std::vector<Differentiated> operands_of(const SplitHiddenCase& item) {
  std::vector<Differentiated> operands{{"product", item.forward.product, item.backward.dproduct}};
  if (item.forward.previous.exists())
    operands.push_back({"previous", item.forward.previous, item.backward.dprevious});
  return operands;
}

// x W of a shifted x, map by map: what the joined product is to give.
void multiply_each(Queue& queue, const TokenShiftCase& shift, const JoinFactorsCase& factors,
                   const PerMap& products) {
  run(queue, shift.forward);
  for (std::size_t m = 0; m < std::size_t(factors.forward.maps); ++m)
    run(queue, Matmul{.c = products[m], .a = shift.forward.y[m], .b = factors.forward.weight[m]});
}

}  // namespace

TEST_CASE("one product by joined factors is every map's product of its own token shift") {
  const bool with_previous = GENERATE(false, true), packed = GENERATE(false, true);
  const std::int64_t B = 2, T = 7, D = 9;
  JoinFactorsCase factors(Dtype::f64, D, odd_ranks);
  SplitHiddenCase split(Dtype::f64, {B, T}, odd_ranks, with_previous);
  TokenShiftCase shift(Dtype::f64, {B, T, D}, factors.forward.maps, with_previous);
  for (std::size_t m = 0; m < odd_ranks.size(); ++m) shift.forward.mix[m] = factors.forward.mix[m];
  split.forward.kind = {};  // linear
  if (packed)
    shift.forward.first = split.forward.first = first_positions(shift.memory, B, T, {1, 4});
  Queue queue;
  PerMap apart;
  for (std::size_t m = 0; m < odd_ranks.size(); ++m)
    apart[m] = shift.memory.output({B, T, odd_ranks[m]});
  multiply_each(queue, shift, factors, apart);

  const Tensor &x = shift.forward.x, &joined = factors.forward.joined;
  run(queue, factors.forward);
  run(queue, Matmul{.c = split.forward.product, .a = x, .b = joined});
  if (with_previous)
    run(queue, Matmul{.c = split.forward.previous, .a = shift.forward.previous, .b = joined});
  run(queue, split.forward);
  for (std::size_t m = 0; m < odd_ranks.size(); ++m) {
    CAPTURE(m);
    CHECK(relative_distance(split.forward.hidden[m], apart[m]) <= tolerance::f64);
  }
}

TEST_CASE("hidden rows are sums over two tokens, with tanh or sigmoid where a map has it") {
  SplitHiddenCase item(Dtype::f64, {1, 2}, {1, 1, 1}, false);
  assign(item.forward.product, {0.5, 2, 0, /* next */ 0.25, -3, 0, /* token 1 */ 1, 4, 0, 9, 9, 9});
  Queue queue;
  run(queue, item.forward);
  CHECK(values_of(item.forward.hidden[0]) == Values{std::tanh(0.5), std::tanh(1.25)});
  CHECK(values_of(item.forward.hidden[1]) == Values{2, 1});
  CHECK(values_of(item.forward.hidden[2]) == Values{0.5, 0.5});
}

TEST_CASE("joined factors have the gradients of finite differences") {
  const JoinFactorsCase item(Dtype::f64, 9, GENERATE(Ranks{5}, Ranks{5, 3, 7}, odd_ranks));
  expect_gradients_of_differences(item, {{item.forward.joined, item.backward.djoined}},
                                  operands_of(item));
}

TEST_CASE("split hidden rows have the gradients of finite differences") {
  const std::int64_t length = GENERATE(1, 5);
  const SplitHiddenCase item(Dtype::f64, {3, length}, odd_ranks, GENERATE(false, true));
  expect_gradients_of_differences(item, results_of(item), operands_of(item));
}

TEST_CASE("hidden rows that stop at documents have the gradients of finite differences") {
  const PackedSplitHiddenCase item(Dtype::f64, {2, 7}, odd_ranks,
                                   GENERATE(Starts{0}, Starts{1, 4}));
  expect_gradients_of_differences(item, results_of(item), operands_of(item));
}

TEST_CASE("operators of low-rank maps add to the gradients they find") {
  Queue queue;
  expect_adds_to_the_gradients_it_finds(queue, JoinFactorsCase(Dtype::f64, 9, odd_ranks).backward);
  SplitHiddenCase item(Dtype::f64, {2, 5}, odd_ranks, GENERATE(false, true));
  run(queue, item.forward);
  expect_adds_to_the_gradients_it_finds(queue, item.backward);
}

TEST_CASE("low-rank maps in f32 are close to f64 and have the same bits on any number of threads") {
  const bool previous = GENERATE(false, true);
  const Ranks ranks{33, 65, 7};
  expect_f32_close_to_f64<JoinFactorsCase>(std::int64_t(70), ranks);
  expect_same_bits_on_any_number_of_threads<JoinFactorsCase>(std::int64_t(70), ranks);
  expect_f32_close_to_f64<SplitHiddenCase>(Shape{3, 67}, ranks, previous);
  expect_same_bits_on_any_number_of_threads<SplitHiddenCase>(Shape{3, 67}, ranks, previous);
}

TEST_CASE("joined factors name the operand that is wrong") {
  Queue queue;
  JoinFactorsCase item(Dtype::f32, 9, odd_ranks);
  JoinFactorsForward forward = item.forward;
  forward.weight[2].shape = {7, 9};
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "JoinFactorsForward.weight[2] has shape (7, 9) but must have (9, 9): one row per row of "
        "joined");
  forward = item.forward;
  forward.joined.shape = {9, 16};
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "JoinFactorsForward.joined has shape (9, 16) but must have (9, 32): twice the ranks of all "
        "maps");
  forward = item.forward;
  forward.maps = 5;
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "JoinFactorsForward.maps is 5 but must be from 1 to 4");
  JoinFactorsBackward backward = item.backward;
  backward.dmix[1].shape = {8};
  CHECK(
      message_of_error([&] { run(queue, backward); }) ==
      "JoinFactorsBackward.dmix[1] has shape (8) but must have (9): one factor per row of joined");
  backward = item.backward;
  backward.dweight[3].shape = {9};
  CHECK(message_of_error([&] { run(queue, backward); }) ==
        "JoinFactorsBackward.dweight[3] has shape (9) but must have (9, 1): the shape of weight");
}

TEST_CASE("split hidden rows name the operand that is wrong") {
  Queue queue;
  PackedSplitHiddenCase item(Dtype::f32, {2, 5}, odd_ranks, {2});
  SplitHiddenForward forward = item.forward;
  forward.hidden[1].shape = {10, 3};
  CHECK(
      message_of_error([&] { run(queue, forward); }) ==
      "SplitHiddenForward.hidden[1] has shape (10, 3) but must have (2, 5, 3): one row per row of "
      "product");
  forward = item.forward;
  forward.previous.shape = {1, 32};
  CHECK(
      message_of_error([&] { run(queue, forward); }) ==
      "SplitHiddenForward.previous has shape (1, 32) but must have (2, 32): one token per sequence "
      "of product");
  forward = item.forward;
  forward.first.shape = {10};
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "SplitHiddenForward.first has shape (10) but must have (2, 5): one position per token");
  SplitHiddenBackward backward = item.backward;
  backward.dhidden[0].shape = {2, 5, 4};
  CHECK(message_of_error([&] { run(queue, backward); }) ==
        "SplitHiddenBackward.dhidden[0] has shape (2, 5, 4) but must have (2, 5, 5): the shape of "
        "hidden");
  backward = item.backward;
  backward.dproduct.shape = {10, 32};
  CHECK(message_of_error([&] { run(queue, backward); }) ==
        "SplitHiddenBackward.dproduct has shape (10, 32) but must have 3 axes: (B, T, 2 R)");
}

}  // namespace metascale
