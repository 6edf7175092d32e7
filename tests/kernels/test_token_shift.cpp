#include "tests/kernels/token_shift_cases.hpp"

namespace metascale {
namespace {

using namespace testing;

std::vector<Result> results_of(const TokenShiftCase& item) {
  std::vector<Result> results;
  for (std::size_t m = 0; m < std::size_t(item.forward.mixes); ++m)
    results.push_back({item.forward.y[m], item.backward.dy[m]});
  return results;
}

std::vector<Differentiated> operands_of(const TokenShiftCase& item) {
  std::vector<Differentiated> operands{{"x", item.forward.x, item.backward.dx}};
  for (std::size_t m = 0; m < std::size_t(item.forward.mixes); ++m)
    operands.push_back({concat("mix[", m, "]"), item.forward.mix[m], item.backward.dmix[m]});
  return operands;
}

}  // namespace

TEST_CASE("a token shift mixes every token with the one before it, per sequence") {
  TokenShiftCase item(Dtype::f64, {2, 2, 1}, 1, false);
  assign(item.forward.x, {1, 2, 10, 30});
  assign(item.forward.mix[0], {0.25});
  Queue queue;
  run(queue, item.forward);
  CHECK(values_of(item.forward.y[0]) == Values{0.75, 1.75, 7.5, 25});
}

TEST_CASE("the first token is mixed with the previous call's last") {
  TokenShiftCase whole(Dtype::f32, {3, 9, 5}, 6, false), half(Dtype::f32, {3, 9, 5}, 6, false);
  Queue queue;
  run(queue, whole.forward);
  // Tokens 0-3, then 4-8, of each sequence, handed on through LastToken.
  Memory& memory = half.memory;
  const Values x = values_of(whole.forward.x), y = values_of(whole.forward.y[5]);
  const auto tokens = [&](const Values& of, std::size_t begin, std::size_t end) {
    Values part;
    for (std::size_t b = 0; b < 3; ++b)
      part.insert(part.end(), of.begin() + std::ptrdiff_t((b * 9 + begin) * 5),
                  of.begin() + std::ptrdiff_t((b * 9 + end) * 5));
    return part;
  };
  const Tensor head = memory.random({3, 4, 5}), tail = memory.random({3, 5, 5});
  assign(head, tokens(x, 0, 4));
  assign(tail, tokens(x, 4, 9));
  const Tensor last = memory.output({3, 5}), result = memory.output({3, 5, 5});
  run(queue, LastToken{.y = last, .x = head});
  TokenShiftForward second{.x = tail, .previous = last, .mixes = 1};
  second.y[0] = result;
  second.mix[0] = whole.forward.mix[5];
  run(queue, second);
  CHECK(values_of(result) == tokens(y, 4, 9));
}

TEST_CASE("a token shift has the gradients of finite differences") {
  const int mixes = GENERATE(1, 6);
  TokenShiftCase item(Dtype::f64, {2, 5, 7}, mixes, GENERATE(false, true));
  expect_gradients_of_differences(item, results_of(item), operands_of(item));
}

TEST_CASE("a token shift of one token has the gradients of finite differences") {
  TokenShiftCase item(Dtype::f64, {3, 1, 7}, 2, GENERATE(false, true));
  expect_gradients_of_differences(item, results_of(item), operands_of(item));
}

TEST_CASE("a token shift adds to the gradients it finds") {
  Queue queue;
  const bool previous = GENERATE(false, true);
  expect_adds_to_the_gradients_it_finds(
      queue, TokenShiftCase(Dtype::f64, {2, 5, 7}, 6, previous).backward);
}

TEST_CASE("a token shift in f32 is close to f64 and has the same bits on any number of threads") {
  const bool previous = GENERATE(false, true);
  expect_f32_close_to_f64<TokenShiftCase>(Shape{3, 67, 70}, 6, previous);
  expect_same_bits_on_any_number_of_threads<TokenShiftCase>(Shape{3, 67, 70}, 6, previous);
}

TEST_CASE("a token shift names the operand that is wrong") {
  Queue queue;
  TokenShiftCase item(Dtype::f32, {2, 5, 7}, 3, true);
  TokenShiftForward forward = item.forward;
  forward.mix[2].shape = {6};
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "TokenShiftForward.mix[2] has shape (6) but must have (7): one factor per channel of x");
  forward = item.forward;
  forward.previous.shape = {1, 7};
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "TokenShiftForward.previous has shape (1, 7) but must have (2, 7): one token per sequence "
        "of x");
  forward = item.forward;
  forward.mixes = 7;
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "TokenShiftForward.mixes is 7 but must be from 1 to 6");
  item.backward.dy[1].shape = {10, 7};
  CHECK(message_of_error([&] { run(queue, item.backward); }) ==
        "TokenShiftBackward.dy[1] has shape (10, 7) but must have (2, 5, 7): the shape of x");
  const LastToken last{.y = item.memory.output({5, 7}), .x = item.forward.x};
  CHECK(message_of_error([&] { run(queue, last); }) ==
        "LastToken.y has shape (5, 7) but must have (2, 7): one token per sequence of x");
}

}  // namespace metascale
