// What happens at documents' first tokens, in every operator that carries something from token to
// token.
#include "kernels/instructions.hpp"
#include "tests/kernels/reset_cases.hpp"
#include "tests/kernels/wkv7_case.hpp"

namespace metascale {
namespace {

using namespace testing;

// One sequence's tokens [begin, end) of x (1, T, ...).
Values tokens(const Tensor& x, std::int64_t begin, std::int64_t end) {
  const Values all = values_of(x);
  const std::int64_t D = x.size() / x.shape[1];
  return Values(all.begin() + begin * D, all.begin() + end * D);
}

// What the case gives for each document alone must be what it gave for the window.
void expect_documents_alone(const PackedAttentionCase& window, const Starts& borders) {
  Queue queue;
  run_case(queue, window);
  for (std::size_t document = 0; document + 1 < borders.size(); ++document) {
    const std::int64_t begin = borders[document], end = borders[document + 1];
    const AttentionForward& whole = window.forward;
    const Shape shape{1, end - begin, whole.q.shape[2], whole.q.shape[3]};
    AttentionCase alone(Dtype::f64, shape);
    const auto take = [&](const Tensor& to, const Tensor& from) {
      assign(to, tokens(from, begin, end));
    };
    take(alone.forward.q, whole.q);
    take(alone.forward.k, whole.k);
    take(alone.forward.v, whole.v);
    take(alone.backward.dy, window.backward.dy);
    run_case(queue, alone);
    INFO("document [" << begin << ", " << end << ")");
    const auto expect = [&](const Tensor& part, const Tensor& of_window) {
      const Values found = tokens(of_window, begin, end), wanted = values_of(part);
      for (std::size_t i = 0; i < wanted.size(); ++i)
        REQUIRE(std::abs(found[i] - wanted[i]) <= 1e-12);  // NaN fails
    };
    expect(alone.forward.y, whole.y);
    expect(alone.backward.dq, window.backward.dq);
    expect(alone.backward.dk, window.backward.dk);
    expect(alone.backward.dv, window.backward.dv);
  }
}

}  // namespace

TEST_CASE("attention with a block-diagonal mask is that of each document alone") {
  const Starts starts =
      GENERATE(Starts{}, Starts{1}, Starts{64, 65}, Starts{70, 256, 300}, Starts{257},
               Starts{20, 40, 60, 80, 100, 120, 140, 160, 180, 200, 220, 240, 260, 280, 520});
  constexpr std::int64_t T = 531;  // over three tiles of keys
  Starts borders{0};
  borders.insert(borders.end(), starts.begin(), starts.end());
  borders.push_back(T);
  expect_documents_alone(PackedAttentionCase(Dtype::f64, {1, T, 2, 5}, starts), borders);
}

TEST_CASE(
    "attention with a block-diagonal mask in f32 is close to f64, with the same bits on any "
    "number of threads") {
  expect_f32_close_to_f64<PackedAttentionCase>(Shape{2, 300, 2, 32}, Starts{7, 130, 270});
  expect_same_bits_on_any_number_of_threads<PackedAttentionCase>(Shape{2, 150, 3, 32}, Starts{66});
}

TEST_CASE("attention with a block-diagonal mask has the gradients of finite differences") {
  PackedAttentionCase item(Dtype::f64, {2, 70, 1, 4}, {3, 40, 66});
  expect_gradients_of_differences(item, {{item.forward.y, item.backward.dy}},
                                  {{"q", item.forward.q, item.backward.dq},
                                   {"k", item.forward.k, item.backward.dk},
                                   {"v", item.forward.v, item.backward.dv}});
}

TEST_CASE("attention with a block-diagonal mask adds to the gradients it finds") {
  PackedAttentionCase item(Dtype::f64, {2, 333, 2, 5}, {10, 260, 300});
  Queue queue;
  run(queue, item.forward);
  expect_adds_to_the_gradients_it_finds(queue, item.backward);
}

TEST_CASE("attention names what is wrong with the positions of documents") {
  Queue queue;
  PackedAttentionCase item(Dtype::f32, {2, 7, 3, 5}, {2});
  AttentionForward forward = item.forward;
  forward.first.shape = {7, 2};
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "AttentionForward.first has shape (7, 2) but must have (2, 7): one position per token");
  AttentionBackward backward = item.backward;
  backward.first.dtype = Dtype::f32;
  CHECK_THAT(message_of_error([&] { run(queue, backward); }),
             Catch::StartsWith("AttentionBackward.first"));
  CachedAttentionCase cached(Dtype::f32, {2, 3, 2, 8}, 9);
  cached.forward.first = first_positions(cached.memory, 2, 3, {});
  CHECK(message_of_error([&] { run(queue, cached.forward); }) ==
        "AttentionForward.first is for as many keys as queries, not for 9 and 3");
}

TEST_CASE("a token shift does not reach into the document before") {
  Memory memory(Dtype::f64);
  PackedTokenShiftCase item(Dtype::f64, {1, 4, 1}, 1, {2});
  assign(item.forward.x, {1, 2, 10, 30});
  assign(item.forward.mix[0], {0.25});
  Queue queue;
  run(queue, item.forward);
  CHECK(values_of(item.forward.y[0]) == Values{0.75, 1.75, 7.5, 25});
}

TEST_CASE("a token shift that stops at documents has the gradients of finite differences") {
  PackedTokenShiftCase item(Dtype::f64, {2, 7, 3}, 2, {1, 4});
  expect_gradients_of_differences(
      item, {{item.forward.y[0], item.backward.dy[0]}, {item.forward.y[1], item.backward.dy[1]}},
      {{"x", item.forward.x, item.backward.dx},
       {"mix[0]", item.forward.mix[0], item.backward.dmix[0]},
       {"mix[1]", item.forward.mix[1], item.backward.dmix[1]}});
}

TEST_CASE("a token shift names what is wrong with the positions of documents") {
  Queue queue;
  PackedTokenShiftCase item(Dtype::f32, {2, 5, 7}, 3, {2});
  item.forward.first.shape = item.backward.first.shape = {10};
  CHECK(message_of_error([&] { run(queue, item.forward); }) ==
        "TokenShiftForward.first has shape (10) but must have (2, 5): one position per token");
  CHECK(message_of_error([&] { run(queue, item.backward); }) ==
        "TokenShiftBackward.first has shape (10) but must have (2, 5): one position per token");
}

TEST_CASE("a reset puts its value at documents' first tokens and nowhere else") {
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64, Dtype::bf16);
  const double value = GENERATE(0.0, std::numeric_limits<double>::infinity());
  ResetCase item(dtype, {2, 4, 1}, {2}, value);
  Queue queue;
  run(queue, item.forward);
  Values wanted = values_of(item.forward.x);
  for (const std::size_t start : {0u, 2u, 4u, 7u}) wanted[start] = value;
  CHECK(values_of(item.forward.y) == wanted);
}

TEST_CASE("a reset has the gradients of finite differences, and adds to those it finds") {
  ResetCase item(Dtype::f64, {2, 5, 3}, {1, 4}, 0.5);
  expect_gradients_of_differences(item, {{item.forward.y, item.backward.dy}},
                                  {{"x", item.forward.x, item.backward.dx}});
  Queue queue;
  expect_adds_to_the_gradients_it_finds(queue, ResetCase(Dtype::f64, {2, 5, 3}, {1}, 0).backward);
  expect_same_bits_on_any_number_of_threads<ResetCase>(Shape{3, 41, 5}, Starts{7, 30}, 0.0);
}

TEST_CASE("a reset names the operand that is wrong") {
  Queue queue;
  ResetCase item(Dtype::f32, {2, 5, 3}, {1}, 0);
  ResetForward forward = item.forward;
  forward.first = {};
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "ResetForward.first is missing: without it no token is known to start a document");
  forward = item.forward;
  forward.y.shape = {2, 15};
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "ResetForward.y has shape (2, 15) but must have (2, 5, 3): the shape of x");
  item.backward.first.shape = {5, 2};
  CHECK(message_of_error([&] { run(queue, item.backward); }) ==
        "ResetBackward.first has shape (5, 2) but must have (2, 5): one position per token");
}

TEST_CASE("WKV7 forgets its state where the decay logit is infinite and a is 0") {
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  const Simd simd = GENERATE(Simd::scalar, Simd::avx2, Simd::avx512);
  if (!processor_has(simd)) return;
  // 19 tokens of which the second document begins at 7, within a chunk; heads with a vector scan.
  constexpr std::int64_t border = 7;
  const Wkv7Sizes sizes{.B = 1, .T = 19, .H = 2, .heads_read = 2, .N = 16};
  Wkv7Sizes tail = sizes;
  tail.T = sizes.T - border;
  Wkv7Case window(dtype, sizes, WkvRead::current), alone(dtype, tail, WkvRead::current);
  const auto set = [&](const Tensor& x, std::int64_t token, double value) {
    Values values = values_of(x);
    const auto D = std::size_t(x.size() / x.shape[1]);
    std::fill_n(values.begin() + std::ptrdiff_t(std::size_t(token) * D), D, value);
    assign(x, values);
  };
  set(window.forward.d, border, std::numeric_limits<double>::infinity());
  set(window.forward.a, border, 0);
  const auto operands_of = [](Wkv7Case& item) {
    return std::vector<Tensor>{item.forward.r,  item.forward.d,   item.forward.k,
                               item.forward.v,  item.forward.a,   item.forward.b,
                               item.read_out.q, item.backward.de, item.backward.dy};
  };
  const std::vector<Tensor> from = operands_of(window), to = operands_of(alone);
  for (std::size_t i = 0; i < to.size(); ++i) assign(to[i], tokens(from[i], border, sizes.T));
  assign(alone.backward.dfinal_state, values_of(window.backward.dfinal_state));
  assign(alone.forward.initial_state, Values(std::size_t(alone.forward.initial_state.size()), 0.0));
  Queue queue;
  queue.cpu.simd = simd;
  window.run(queue);
  alone.run(queue);

  const std::vector<Named> whole = window.outputs(), part = alone.outputs();
  for (std::size_t i = 0; i < part.size(); ++i) {
    INFO(part[i].name);
    if (part[i].name == "dinitial_state") continue;
    const Tensor& tensor = whole[i].tensor;
    const bool is_state = part[i].name == "final_state";
    const Values found = is_state ? values_of(tensor) : tokens(tensor, border, sizes.T);
    const Values wanted = values_of(part[i].tensor);
    REQUIRE(found.size() == wanted.size());
    // da and db of the first token: of a 0 that is given, and of the state before.
    const std::size_t skipped = part[i].name == "da" ? std::size_t(tensor.size() / sizes.T) : 0;
    for (std::size_t e = skipped; e < wanted.size(); ++e)
      REQUIRE(std::abs(found[e] - wanted[e]) <= (dtype == Dtype::f64 ? 1e-12 : 1e-4));
  }
  // Nothing of the second document reaches what was before it.
  const double dinitial = norm(values_of(window.backward.dinitial_state));
  assign(window.backward.dfinal_state,
         Values(std::size_t(window.backward.dfinal_state.size()), 1e3));
  window.run(queue);
  CHECK(norm(values_of(window.backward.dinitial_state)) == dinitial);
  CHECK(dinitial > 0);
}

}  // namespace metascale
