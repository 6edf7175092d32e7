#include "tests/kernels/embedding_cases.hpp"

namespace metascale {

using namespace testing;

TEST_CASE("an embedding copies the row of every token") {
  EmbeddingCase item(Dtype::f32, 3, 5, 2);
  assign(item.forward.tokens, {4, 0, 4});
  assign(item.forward.weight, {0, 1, 10, 11, 20, 21, 30, 31, 40, 41});
  Queue queue;
  run(queue, item.forward);
  CHECK(values_of(item.forward.y) == Values{40, 41, 0, 1, 40, 41});
}

TEST_CASE("an embedding's gradient sums the rows of equal tokens and is 0 for the others") {
  EmbeddingCase item(Dtype::f32, 3, 4, 2);
  assign(item.backward.tokens, {1, 3, 1});
  assign(item.backward.dy, {1, 2, 10, 20, 100, 200});
  Queue queue;
  run(queue, item.backward);
  CHECK(values_of(item.backward.dweight) == Values{0, 0, 101, 202, 0, 0, 10, 20});
}

TEST_CASE("an embedding has the gradients of finite differences") {
  EmbeddingCase item(Dtype::f64, 11, 7, 5);
  expect_gradients_of_differences(item, {{item.forward.y, item.backward.dy}},
                                  {{"weight", item.forward.weight, item.backward.dweight}});
}

TEST_CASE("an embedding adds to the gradients it finds") {
  Queue queue;
  expect_adds_to_the_gradients_it_finds(queue, EmbeddingCase(Dtype::f64, 40, 7, 5).backward);
}

TEST_CASE("an embedding in f32 is close to f64 and has the same bits on any number of threads") {
  expect_f32_close_to_f64<EmbeddingCase>(200, 30, 37);
  expect_same_bits_on_any_number_of_threads<EmbeddingCase>(200, 30, 37);
}

TEST_CASE("an embedding names the operand that is wrong") {
  Queue queue;
  EmbeddingCase item(Dtype::f32, 3, 5, 2);
  item.forward.y.shape = {3, 4};
  CHECK(message_of_error([&] { run(queue, item.forward); }) ==
        "EmbeddingForward.y has shape (3, 4) but must have (3, 2): one row of weight per token");
  EmbeddingBackward backward = item.backward;
  backward.dy.shape = {2, 3};
  CHECK(message_of_error([&] { run(queue, backward); }) ==
        "EmbeddingBackward.dy has shape (2, 3) but must have (3, 2): one row of dweight per token");
  item.backward.tokens.dtype = Dtype::f32;
  CHECK(message_of_error([&] { run(queue, item.backward); }) ==
        "EmbeddingBackward.tokens is f32 but must be i32: tokens are indices");
}

}  // namespace metascale
