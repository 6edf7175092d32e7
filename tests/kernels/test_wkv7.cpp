// Properties of the WKV7 operators; their values are compared with the oracle's in
// test_wkv7_golden.cpp.
#include <limits>

#include "kernels/instructions.hpp"
#include "kernels/wkv7.hpp"
#include "tests/kernels/wkv7_case.hpp"

namespace metascale {
namespace {

using namespace testing;

constexpr Wkv7Sizes odd = {.B = 2, .T = 19, .H = 2, .heads_read = 1, .N = 5};
constexpr Wkv7Sizes one_token = {.B = 1, .T = 1, .H = 1, .heads_read = 1, .N = 3};
constexpr Wkv7Sizes three_chunks = {.B = 1, .T = 35, .H = 3, .heads_read = 2, .N = 16};

Tensor slice_of_tokens(Memory& memory, const Tensor& tensor, std::int64_t first,
                       std::int64_t count) {
  const Shape& shape = tensor.shape;
  const Tensor result = memory.output({1, count, shape[2], shape[3]});
  const std::int64_t row = shape[2] * shape[3];
  const Values all = values_of(tensor);
  assign(result, Values(all.begin() + first * row, all.begin() + (first + count) * row));
  return result;
}

TEST_CASE("the gradients of WKV7 are the slopes of its outputs") {
  const WkvRead read = GENERATE(WkvRead::previous, WkvRead::current);
  const Wkv7Sizes sizes = GENERATE(odd, one_token, three_chunks);
  const Wkv7Case item(Dtype::f64, sizes, read);
  Queue queue;
  item.run(queue);
  const Values dy = values_of(item.backward.dy), de = values_of(item.backward.de),
               ds = values_of(item.backward.dfinal_state);
  const auto loss = [&] {
    run(queue, item.forward);
    run(queue, item.read_out);
    return dot(dy, values_of(item.forward.y)) + dot(de, values_of(item.read_out.e)) +
           dot(ds, values_of(item.forward.final_state));
  };
  expect_gradient("r", item.forward.r, item.backward.dr, loss);
  expect_gradient("d", item.forward.d, item.backward.dd, loss);
  expect_gradient("k", item.forward.k, item.backward.dk, loss);
  expect_gradient("v", item.forward.v, item.backward.dv, loss);
  expect_gradient("a", item.forward.a, item.backward.da, loss);
  expect_gradient("b", item.forward.b, item.backward.db, loss);
  expect_gradient("q", item.read_out.q, item.query_backward.dq, loss);
  expect_gradient("S_0", item.forward.initial_state, item.backward.dinitial_state, loss);
}

TEST_CASE("every instruction set agrees with the f64 truth") {
  const Wkv7Sizes sizes = GENERATE(Wkv7Sizes{.B = 2, .T = 19, .H = 2, .heads_read = 1, .N = 16},
                                   Wkv7Sizes{.B = 1, .T = 16, .H = 1, .heads_read = 1, .N = 32},
                                   Wkv7Sizes{.B = 1, .T = 33, .H = 3, .heads_read = 2, .N = 64},
                                   Wkv7Sizes{.B = 1, .T = 1, .H = 2, .heads_read = 1, .N = 128},
                                   Wkv7Sizes{.B = 1, .T = 18, .H = 1, .heads_read = 1, .N = 128},
                                   Wkv7Sizes{.B = 1, .T = 17, .H = 1, .heads_read = 1, .N = 24});
  const WkvRead read = GENERATE(WkvRead::previous, WkvRead::current);
  Queue queue, truth;
  queue.cpu.simd =
      GENERATE(filter(processor_has, values({Simd::scalar, Simd::avx2, Simd::avx512})));
  const Wkv7Case narrow(Dtype::f32, sizes, read), wide(Dtype::f64, sizes, read);
  narrow.run(queue);
  wide.run(truth);
  expect_close(narrow.outputs(), wide.outputs(), tolerance::f32);
}

// Nearly parallel removal keys with a rate near 1 and the fastest decay: where states that are
// rebuilt by dividing by w lose everything.
TEST_CASE("repeated keys at the fastest decay keep the precision of f32") {
  const Wkv7Sizes sizes{.B = 1, .T = 64, .H = 1, .heads_read = 1, .N = 64};
  Queue queue;
  queue.cpu.simd =
      GENERATE(filter(processor_has, values({Simd::scalar, Simd::avx2, Simd::avx512})));
  Wkv7Case narrow(Dtype::f32, sizes, WkvRead::previous), wide(Dtype::f64, sizes, WkvRead::previous);
  for (const Wkv7Case* item : {&narrow, &wide}) {
    Values a = random_values(item->forward.a.size(), 5), b = a;
    for (std::size_t i = 0; i < a.size(); ++i) {
      a[i] = double(float(-0.125 * ((i % 64) % 2 ? 1 : -1) + 1e-3 * a[i]));  // |a| near 1
      b[i] = double(float(-0.99 * a[i]));
    }
    assign(item->forward.a, a);
    assign(item->forward.b, b);
    assign(item->forward.d, Values(a.size(), 12.0));
    item->run(queue);
  }
  expect_close(narrow.outputs(), wide.outputs(), tolerance::f32);
}

TEST_CASE("the first token's previous read-out of the zero state is zero") {
  Wkv7Case item(Dtype::f32, three_chunks, WkvRead::previous);
  item.forward.initial_state = {};
  Queue queue;
  item.run(queue);
  const std::size_t row = std::size_t(three_chunks.heads_read * three_chunks.N);
  const Values e = values_of(item.read_out.e), dq = values_of(item.query_backward.dq);
  for (std::size_t i = 0; i < row; ++i) CHECK((e[i] == 0 && dq[i] == 0));
  CHECK(norm(Values(e.begin() + std::ptrdiff_t(row), e.end())) > 1);
}

// x of one case and y of another, as x + factor y.
Values mixed(const Tensor& x, double factor, const Tensor& y) {
  Values sum = values_of(x);
  const Values other = values_of(y);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += factor * other[i];
  return sum;
}

void expect_values(const Tensor& found, const Values& wanted) {
  const Values values = values_of(found);
  REQUIRE(values.size() == wanted.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    CHECK(std::abs(values[i] - wanted[i]) <= tolerance::f64 * (norm(wanted) + 1));
}

TEST_CASE("the second read-out is linear in the query") {
  const WkvRead read = GENERATE(WkvRead::previous, WkvRead::current);
  const Wkv7Case one(Dtype::f64, three_chunks, read), other(Dtype::f64, three_chunks, read),
      both(Dtype::f64, three_chunks, read);
  assign(other.read_out.q, random_values(other.read_out.q.size(), 11));
  assign(both.read_out.q, mixed(one.read_out.q, -2.5, other.read_out.q));
  Queue queue;
  for (const Wkv7Case* item : {&one, &other, &both}) item->run(queue);
  REQUIRE(norm(values_of(other.read_out.e)) > 1);
  expect_values(both.read_out.e, mixed(one.read_out.e, -2.5, other.read_out.e));
}

// With equal keys and decays the state itself is linear in the values and in what it began with.
TEST_CASE("the second read-out is linear in the state") {
  const WkvRead read = GENERATE(WkvRead::previous, WkvRead::current);
  const Wkv7Case one(Dtype::f64, three_chunks, read), other(Dtype::f64, three_chunks, read),
      both(Dtype::f64, three_chunks, read);
  const auto change = [](const Tensor& tensor, unsigned seed) {
    assign(tensor, random_values(tensor.size(), seed));
  };
  change(other.forward.v, 12);
  change(other.forward.initial_state, 13);
  assign(both.forward.v, mixed(one.forward.v, -2.5, other.forward.v));
  assign(both.forward.initial_state,
         mixed(one.forward.initial_state, -2.5, other.forward.initial_state));
  Queue queue;
  for (const Wkv7Case* item : {&one, &other, &both}) item->run(queue);
  expect_values(both.forward.final_state,  // it is the sum of those states
                mixed(one.forward.final_state, -2.5, other.forward.final_state));
  expect_values(both.read_out.e, mixed(one.read_out.e, -2.5, other.read_out.e));
}

TEST_CASE("reading the previous state is reading the current one a token earlier") {
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  const Wkv7Sizes sizes{.B = 1, .T = 35, .H = 3, .heads_read = 2, .N = 32};
  const Wkv7Case previous(dtype, sizes, WkvRead::previous), current(dtype, sizes, WkvRead::current);
  const std::int64_t row = sizes.heads_read * sizes.N, rest = (sizes.T - 1) * row;
  const Values q = values_of(previous.read_out.q);
  Values moved = q;
  std::copy(q.begin() + row, q.end(), moved.begin());
  assign(current.read_out.q, moved);
  Queue queue;
  previous.run(queue);
  current.run(queue);
  const Values a = values_of(previous.read_out.e), b = values_of(current.read_out.e);
  const double limit = dtype == Dtype::f32 ? tolerance::f32 : tolerance::f64;
  for (std::int64_t i = 0; i < rest; ++i)
    CHECK(std::abs(a[std::size_t(row + i)] - b[std::size_t(i)]) <= limit * 5);
}

TEST_CASE("a token of zeros with decay logit -inf changes nothing") {
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  Wkv7Case item(dtype, {.B = 1, .T = 20, .H = 2, .heads_read = 2, .N = 32}, WkvRead::previous);
  for (const Tensor& tensor : {item.forward.k, item.forward.v, item.forward.a, item.forward.b})
    assign(tensor, Values(std::size_t(tensor.size()), 0.0));
  assign(item.forward.d,
         Values(std::size_t(item.forward.d.size()), -std::numeric_limits<double>::infinity()));
  Queue queue;
  item.run(queue);
  CHECK(same_bits(item.forward.final_state, item.forward.initial_state));
  for (const Named& output : item.outputs()) {
    INFO(output.name);
    CHECK(std::isfinite(norm(values_of(output.tensor))));
  }
}

TEST_CASE("two halves of a sequence give what the whole gives") {
  const std::int64_t cut = GENERATE(16, 7);
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  const Wkv7Sizes sizes{.B = 1, .T = 35, .H = 2, .heads_read = 1, .N = 16};
  const Wkv7Case whole(dtype, sizes, WkvRead::previous);
  Wkv7Sizes first_sizes = sizes, second_sizes = sizes;
  first_sizes.T = cut;
  second_sizes.T = sizes.T - cut;
  Wkv7Case first(dtype, first_sizes, WkvRead::previous),
      second(dtype, second_sizes, WkvRead::previous);
  const auto take = [&](Wkv7Case& part, std::int64_t from) {
    const auto copy = [&](const Tensor& to, const Tensor& all) {
      assign(to, values_of(slice_of_tokens(part.memory, all, from, part.sizes.T)));
    };
    copy(part.forward.r, whole.forward.r);
    copy(part.forward.d, whole.forward.d);
    copy(part.forward.k, whole.forward.k);
    copy(part.forward.v, whole.forward.v);
    copy(part.forward.a, whole.forward.a);
    copy(part.forward.b, whole.forward.b);
    copy(part.backward.dy, whole.backward.dy);
    copy(part.backward.q, whole.backward.q);
    copy(part.backward.de, whole.backward.de);
  };
  take(first, 0);
  take(second, cut);
  assign(first.forward.initial_state, values_of(whole.forward.initial_state));
  second.forward.initial_state = first.forward.final_state;
  first.backward.dfinal_state = second.backward.dinitial_state;
  assign(second.backward.dfinal_state, values_of(whole.backward.dfinal_state));
  Queue queue;
  whole.run(queue);
  run(queue, first.forward);
  second.run(queue);
  first.run(queue);
  const double limit = dtype == Dtype::f32 ? tolerance::f32 : tolerance::f64;
  const auto expect_part = [&](Wkv7Case& part, std::int64_t from) {
    const auto expect_near = [&](const Tensor& some, const Tensor& all) {
      CHECK(relative_distance(some, slice_of_tokens(part.memory, all, from, part.sizes.T)) <=
            limit);
    };
    expect_near(part.forward.y, whole.forward.y);
    expect_near(part.read_out.e, whole.read_out.e);
    expect_near(part.query_backward.dq, whole.query_backward.dq);
    expect_near(part.backward.dr, whole.backward.dr);
    expect_near(part.backward.dd, whole.backward.dd);
    expect_near(part.backward.dk, whole.backward.dk);
    expect_near(part.backward.dv, whole.backward.dv);
    expect_near(part.backward.da, whole.backward.da);
    expect_near(part.backward.db, whole.backward.db);
  };
  expect_part(first, 0);
  expect_part(second, cut);
  CHECK(same_bits(second.forward.final_state, whole.forward.final_state));
  CHECK(relative_distance(first.backward.dinitial_state, whole.backward.dinitial_state) <= limit);
}

TEST_CASE("WKV7 gives the same bits on any number of threads") {
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  const Wkv7Sizes sizes{.B = 2, .T = 35, .H = 3, .heads_read = 2, .N = 32};
  const Wkv7Case alone(dtype, sizes, WkvRead::previous), shared(dtype, sizes, WkvRead::previous);
  Queue one, many;
  many.cpu.threads = GENERATE(2, 5);
  alone.run(one);
  shared.run(many);
  const std::vector<Named> a = alone.outputs(), b = shared.outputs();
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO(a[i].name);
    CHECK(same_bits(a[i].tensor, b[i].tensor));
  }
}

TEST_CASE("WKV7 adds to the gradients it finds and assigns fresh ones") {
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  const std::int64_t N = GENERATE(5, 64);
  const Wkv7Case item(dtype, {.B = 1, .T = 19, .H = 2, .heads_read = 1, .N = N}, WkvRead::current);
  Queue queue;
  item.run(queue);
  const double limit = dtype == Dtype::f32 ? tolerance::f32 : tolerance::f64;
  expect_adds_to_the_gradients_it_finds(queue, item.backward, limit);
  expect_adds_to_the_gradients_it_finds(queue, item.query_backward, limit);
}

TEST_CASE("without a second read-out the backward is that of y alone") {
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  const Wkv7Sizes sizes{.B = 1, .T = 19, .H = 2, .heads_read = 1, .N = 32};
  Wkv7Case with(dtype, sizes, WkvRead::previous), without(dtype, sizes, WkvRead::previous);
  assign(with.backward.de, Values(std::size_t(with.backward.de.size()), 0.0));
  without.backward.q = without.backward.de = {};
  Queue queue;
  with.run(queue);
  run(queue, without.forward);
  run(queue, without.backward);
  expect_close(outputs_of(without.backward), outputs_of(with.backward),
               dtype == Dtype::f32 ? tolerance::f32 : tolerance::f64);
}

TEST_CASE("what WKV7 may leave out does not change what it writes") {
  const Wkv7Sizes sizes{.B = 1, .T = 35, .H = 2, .heads_read = 1, .N = 64};
  const Wkv7Case full(Dtype::f32, sizes, WkvRead::previous);
  Wkv7Case bare(Dtype::f32, sizes, WkvRead::previous);
  bare.forward.u = bare.forward.checkpoints = {};
  Queue queue;
  run(queue, full.forward);
  run(queue, bare.forward);
  CHECK(same_bits(full.forward.y, bare.forward.y));
  CHECK(same_bits(full.forward.final_state, bare.forward.final_state));
  bare.forward.final_state = {};
  poison(bare.forward.y);
  run(queue, bare.forward);
  CHECK(same_bits(full.forward.y, bare.forward.y));
}

TEST_CASE("WKV7 names the operand that does not fit") {
  Queue queue;
  Wkv7Case item(Dtype::f32, odd, WkvRead::previous);
  const auto refusal = [&](const auto& op) { return message_of_error([&] { run(queue, op); }); };

  Wkv7Forward forward = item.forward;
  forward.k = item.memory.random({2, 19, 2, 4});
  CHECK(refusal(forward) ==
        "Wkv7Forward.k has shape (2, 19, 2, 4) but must have (2, 19, 2, 5): (B, T, H, N) of r");
  forward = item.forward;
  forward.checkpoints = item.memory.output({2, 2, 1, 5, 5});
  CHECK(refusal(forward) ==
        "Wkv7Forward.checkpoints has shape (2, 2, 1, 5, 5) but must have (2, 2, 2, 5, 5): "
        "(B, H, ceil(T / 16), N, N): one state for every 16 tokens of a head");
  forward = item.forward;
  forward.u = {};
  CHECK(refusal(forward) ==
        "Wkv7Forward.u was left out but Wkv7Forward.checkpoints was given: give both or neither");
  forward = item.forward;
  forward.r = item.memory.random({2, 19, 10});
  CHECK(refusal(forward) ==
        "Wkv7Forward.r has shape (2, 19, 10) but must have 4 axes: (B, T, H, N)");
  forward.r = item.memory.random({2, 19, 2, 130});
  CHECK(refusal(forward) ==
        "Wkv7Forward.r has heads of 130 channels, but at most 128 are possible: take more and "
        "smaller heads");
  forward.r = {nullptr, {2, 0, 2, 5}, Dtype::f32};
  CHECK(refusal(forward) ==
        "Wkv7Forward.r has shape (2, 0, 2, 5) but must hold at least one token");

  Wkv7ReadOut read_out = item.read_out;
  read_out.q = item.memory.random({2, 19, 3, 5});
  CHECK(refusal(read_out) ==
        "Wkv7ReadOut.q has shape (2, 19, 3, 5) but must have (2, 19, 2, 5): B, T and N of d, and a "
        "part of its heads");
  Wkv7QueryBackward query_backward = item.query_backward;
  query_backward.dq = item.memory.gradient({2, 19, 2, 5});
  CHECK(refusal(query_backward) ==
        "Wkv7QueryBackward.dq has shape (2, 19, 2, 5) but must have (2, 19, 1, 5): (B, T, H_s, N) "
        "of de");

  Wkv7Backward backward = item.backward;
  backward.de = {};
  CHECK(refusal(backward) ==
        "Wkv7Backward.de was left out but Wkv7Backward.q was given: give both or neither");
  backward = item.backward;
  backward.dfinal_state = item.memory.random({2, 2, 5, 4});
  CHECK(refusal(backward) ==
        "Wkv7Backward.dfinal_state has shape (2, 2, 5, 4) but must have (2, 2, 5, 5): (B, H, N, N) "
        "of d");
  backward = item.backward;
  backward.u.dtype = Dtype::f64;
  CHECK(refusal(backward) ==
        "Wkv7Backward.u is f64 but must be f32 or bf16: Wkv7Backward.dr is f32");
}

TEST_CASE("WKV7 counts the FLOPs of the sequential form") {
  const Wkv7Case item(Dtype::f32, {.B = 2, .T = 19, .H = 2, .heads_read = 1, .N = 64},
                      WkvRead::previous);
  const double head_tokens = 2 * 19 * 2, state = 64 * 64;
  Queue plan{.device = Device::plan};
  run(plan, item.forward);
  CHECK(plan.planned.flops == 9 * head_tokens * state);
  plan.planned = {};
  item.run(plan);
  CHECK(plan.planned.flops == (9 + 24 + (7 + 7 + 2) / 2.0) * head_tokens * state);
}

}  // namespace
}  // namespace metascale
