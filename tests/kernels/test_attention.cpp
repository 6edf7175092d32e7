#include "kernels/cuda/attention.hpp"
#include "kernels/instructions.hpp"
#include "tests/kernels/attention_cases.hpp"

namespace metascale {
namespace {

using namespace testing;

struct Plain {
  Values y, lse;
};

// Attention by its definition, one query at a time.
Plain attention_of(const AttentionForward& op) {
  const std::int64_t B = op.q.shape[0], T = op.q.shape[1], H = op.q.shape[2], N = op.q.shape[3];
  const std::int64_t S = op.k.shape[1];
  const Values q = values_of(op.q), k = values_of(op.k), v = values_of(op.v);
  Plain plain{Values(q.size(), 0.0), Values(std::size_t(B * H * T), 0.0)};
  const auto at = [&](std::int64_t b, std::int64_t length, std::int64_t t, std::int64_t h) {
    return std::size_t(((b * length + t) * H + h) * N);
  };
  for (std::int64_t b = 0; b < B; ++b)
    for (std::int64_t h = 0; h < H; ++h)
      for (std::int64_t i = 0; i < T; ++i) {
        double sum = 0;
        for (std::int64_t j = 0; j <= i + S - T; ++j) {
          double score = 0;
          for (std::size_t n = 0; n < std::size_t(N); ++n)
            score += op.scale * q[at(b, T, i, h) + n] * k[at(b, S, j, h) + n];
          sum += std::exp(score);
          for (std::size_t n = 0; n < std::size_t(N); ++n)
            plain.y[at(b, T, i, h) + n] += std::exp(score) * v[at(b, S, j, h) + n];
        }
        for (std::size_t n = 0; n < std::size_t(N); ++n) plain.y[at(b, T, i, h) + n] /= sum;
        plain.lse[std::size_t((b * H + h) * T + i)] = std::log(sum);
      }
  return plain;
}

void expect_definition(const AttentionForward& op) {
  const Plain plain = attention_of(op);
  const double tolerance = op.q.dtype == Dtype::f64 ? 1e-12 : 2e-5;
  for (const Simd simd : {Simd::scalar, Simd::avx2, Simd::avx512}) {
    if (!processor_has(simd)) continue;
    Queue queue{.cpu = {.simd = simd}};
    run(queue, op);
    const Values y = values_of(op.y), lse = values_of(op.lse);
    for (std::size_t i = 0; i < y.size(); ++i) REQUIRE(std::abs(y[i] - plain.y[i]) <= tolerance);
    for (std::size_t i = 0; i < lse.size(); ++i)
      REQUIRE(std::abs(lse[i] - plain.lse[i]) <= tolerance);
  }
}

}  // namespace

TEST_CASE("attention has the values of its definition, within and across tiles") {
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  expect_definition(AttentionCase(dtype, {2, 1, 1, 3}).forward);
  expect_definition(AttentionCase(dtype, {2, 7, 3, 5}).forward);
  expect_definition(AttentionCase(dtype, {1, 64, 2, 8}).forward);
  expect_definition(AttentionCase(dtype, {1, 331, 1, 16}).forward);
  expect_definition(AttentionCase(dtype, {1, 259, 1, 32}).forward);
}

TEST_CASE("attention has the same values with every level of instructions, at any head size") {
  const Simd simd =
      GENERATE(filter(processor_has, values({Simd::scalar, Simd::avx2, Simd::avx512})));
  const std::int64_t N = GENERATE(1, 5, 16, 33, 48, 64, 100, 128);
  CAPTURE(int(simd), N);
  Queue queue{.cpu = {.simd = simd}};
  AttentionCase item(Dtype::f32, {2, 291, 2, N}), truth(Dtype::f64, {2, 291, 2, N});
  run_case(queue, item);
  run_case(queue, truth);
  const auto outputs = outputs_of_case(item), exact = outputs_of_case(truth);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Values values = values_of(outputs[i].tensor), expected = values_of(exact[i].tensor);
    for (std::size_t e = 0; e < values.size(); ++e)
      REQUIRE(std::abs(values[e] - expected[e]) <= 2e-5 * (1 + std::abs(expected[e])));
  }
}

TEST_CASE("queries are the last tokens of a longer cache") {
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  expect_definition(CachedAttentionCase(dtype, {2, 1, 2, 8}, 9).forward);
  expect_definition(CachedAttentionCase(dtype, {1, 70, 2, 8}, 333).forward);
  expect_definition(CachedAttentionCase(dtype, {1, 300, 1, 8}, 601).forward);
  // Few queries read keys and values as they lie, if heads fill whole vectors.
  expect_definition(CachedAttentionCase(dtype, {2, 3, 2, 64}, 300).forward);
  expect_definition(CachedAttentionCase(dtype, {2, 3, 2, 40}, 300).forward);
}

TEST_CASE("a token does not see what comes after it") {
  AttentionCase item(Dtype::f32, {1, 80, 1, 8}), other(Dtype::f32, {1, 80, 1, 8});
  Values k = values_of(other.forward.k), v = values_of(other.forward.v);
  for (std::size_t i = 40 * 8; i < k.size(); ++i) k[i] = v[i] = i % 3 == 0 ? 1e30 : -7;
  assign(other.forward.k, k);
  assign(other.forward.v, v);
  Queue queue;
  run(queue, item.forward);
  run(queue, other.forward);
  const Values y = values_of(item.forward.y), changed = values_of(other.forward.y);
  for (std::size_t i = 0; i < 40 * 8; ++i) REQUIRE(y[i] == changed[i]);
  CHECK(y[40 * 8] != changed[40 * 8]);
}

TEST_CASE("scores far beyond the range of exp are no trouble") {
  AttentionCase item(Dtype::f32, {1, 5, 1, 4});
  item.forward.scale = item.backward.scale = 1000;
  Queue queue;
  run_case(queue, item);
  for (const Named& output : outputs_of_case(item))
    for (const double value : values_of(output.tensor)) CHECK(std::isfinite(value));
}

TEST_CASE("attention has the gradients of finite differences") {
  const std::int64_t length = GENERATE(1, 7, 70);
  AttentionCase item(Dtype::f64, {2, length, 2, 5});
  expect_gradients_of_differences(item, {{item.forward.y, item.backward.dy}},
                                  {{"q", item.forward.q, item.backward.dq},
                                   {"k", item.forward.k, item.backward.dk},
                                   {"v", item.forward.v, item.backward.dv}});
}

TEST_CASE("attention across tiles of keys has the gradients of finite differences") {
  AttentionCase item(Dtype::f64, {1, 333, 1, 4});
  expect_gradients_of_differences(item, {{item.forward.y, item.backward.dy}},
                                  {{"q", item.forward.q, item.backward.dq},
                                   {"k", item.forward.k, item.backward.dk},
                                   {"v", item.forward.v, item.backward.dv}});
}

TEST_CASE("attention adds to the gradients it finds") {
  AttentionCase item(Dtype::f64, {2, 333, 2, 5});
  Queue queue;
  run(queue, item.forward);
  expect_adds_to_the_gradients_it_finds(queue, item.backward);
}

TEST_CASE("attention in f32 is close to f64 and has the same bits on any number of threads") {
  expect_f32_close_to_f64<AttentionCase>(Shape{2, 300, 2, 32});
  expect_same_bits_on_any_number_of_threads<AttentionCase>(Shape{2, 150, 3, 32});
}

TEST_CASE("attention names the operand that is wrong") {
  Queue queue;
  AttentionCase item(Dtype::f32, {2, 7, 3, 5});
  AttentionForward forward = item.forward;
  forward.v.shape = {2, 7, 15};
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "AttentionForward.v has shape (2, 7, 15) but must have (2, 7, 3, 5): the shape of k");
  forward = item.forward;
  forward.k.shape = {2, 6, 3, 5};
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "AttentionForward.k has 6 tokens but must have at least 7: the queries are the last tokens "
        "of the keys");
  forward = item.forward;
  forward.lse.shape = {2, 7, 3};
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "AttentionForward.lse has shape (2, 7, 3) but must have (2, 3, 7): one number per query");
  item.backward.k.shape = {2, 8, 3, 5};
  CHECK(message_of_error([&] { run(queue, item.backward); }) ==
        "AttentionBackward.k has shape (2, 8, 3, 5) but must have (2, 7, 3, 5): the shape of q: "
        "there is no cache in training");
  item = AttentionCase(Dtype::f32, {2, 7, 3, 5});
  item.backward.scratch = item.forward.q;
  CHECK(message_of_error([&] { run(queue, item.backward); }) ==
        "AttentionBackward.scratch is f32 but must be bf16: cuDNN works in it");
}

TEST_CASE("attention's backward by cuDNN is planned to work in whole tiles of every head") {
  const auto planned = [](Shape BTHN, Dtype dtype = Dtype::bf16, bool has_documents = false) {
    AttentionBackward op;
    op.q = {.shape = BTHN, .dtype = dtype};
    if (has_documents) op.first = {.shape = {BTHN[0], BTHN[1]}, .dtype = Dtype::i32};
    return cuda::planned_cudnn_bytes(op);
  };
  const auto with_spare = [](std::int64_t asked) {
    return asked + asked / 256 + cuda::cudnn_alignment;
  };
  CHECK(planned({16, 2048, 12, 64}) == with_spare(16 * 12 * 2048 * (2 * 2048 + 4L)));
  CHECK(planned({2, 65, 3, 128}) == with_spare(2 * 3 * (2 * 128 * 128 + 4 * 65)));
  // Which our own bodies do: other numbers, documents, heads, and a square that grows too large.
  CHECK(planned({2, 65, 3, 64}, Dtype::f32) == 0);
  CHECK(planned({2, 65, 3, 64}, Dtype::bf16, true) == 0);
  CHECK(planned({2, 65, 3, 60}) == 0);
  CHECK(planned({2, 65, 3, 136}) == 0);
  CHECK(planned({1, 32768, 1, 64}) > 0);
  CHECK(planned({1, 32768, 2, 64}) == 0);
}

TEST_CASE("attention costs what the visible pairs cost") {
  Queue plan{.device = Device::plan};
  run(plan, AttentionCase(Dtype::f32, {2, 7, 3, 5}).forward);
  CHECK(plan.planned.flops == (4 * 5 + 10) * 2 * 3 * 28.0);
}

}  // namespace metascale
