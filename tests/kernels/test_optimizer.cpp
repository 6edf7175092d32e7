#include "tests/kernels/optimizer_cases.hpp"

namespace metascale {

using namespace testing;

TEST_CASE("the first step of AdamW moves every parameter by its rate against the gradient") {
  AdamWCase item(GENERATE(Dtype::f32, Dtype::f64), side_by_side({3}), {{.rate = 0.25}});
  AdamW& op = item.forward;
  assign(op.parameters, {1, 1, 1});
  assign(op.m, {0, 0, 0});
  assign(op.v, {0, 0, 0});
  assign(op.gradients, {4, -1e-3, 0});
  op.gradient_scale = 1;
  op.epsilon = 1e-12;
  Queue queue;
  run(queue, op);
  const Values moved = values_of(op.parameters);
  CHECK(moved[0] == Approx(0.75).epsilon(1e-5));
  CHECK(moved[1] == Approx(1.25).epsilon(1e-5));
  CHECK(moved[2] == 1);
}

TEST_CASE("AdamW follows its formula with decay, scale and bias correction") {
  const std::int64_t time = GENERATE(1, 2, 1000);
  AdamWCase item(Dtype::f64, 101, time);
  const AdamW& op = item.forward;
  const Values p0 = values_of(op.parameters), m0 = values_of(op.m), v0 = values_of(op.v);
  const Values g0 = values_of(op.gradients);
  Queue queue;
  run(queue, op);
  const Values p = values_of(op.parameters), m = values_of(op.m), v = values_of(op.v);
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double g = 0.5 * g0[i], first = 0.9 * m0[i] + 0.1 * g;
    const double second = 0.95 * v0[i] + 0.05 * g * g;
    const double mean = first / (1 - std::pow(0.9, double(time)));
    const double root = std::sqrt(second / (1 - std::pow(0.95, double(time))));
    CHECK(m[i] == Approx(first).epsilon(1e-12));
    CHECK(v[i] == Approx(second).epsilon(1e-12));
    CHECK(p[i] == Approx(p0[i] - 0.01 * (mean / (root + 1e-8) + 0.1 * p0[i])).epsilon(1e-12));
  }
}

TEST_CASE("AdamW without gradient, moments and decay leaves parameters as they are") {
  AdamWCase item(Dtype::f32, 37, 5);
  for (const Tensor* tensor : {&item.forward.m, &item.forward.v, &item.forward.gradients})
    assign(*tensor, Values(37, 0.0));
  item.forward.groups[0].weight_decay = 0;
  item.forward.epsilon = 1e-18;
  const Values before = values_of(item.forward.parameters);
  Queue queue;
  run(queue, item.forward);
  CHECK(values_of(item.forward.parameters) == before);
}

TEST_CASE("AdamW in f32 is close to f64 and has the same bits on any number of threads") {
  expect_f32_close_to_f64<AdamWCase>(9001, 3);
  expect_same_bits_on_any_number_of_threads<AdamWCase>(9001, 3);
}

TEST_CASE("parameters of a group without rate stay, whatever stands beside them") {
  AdamWCase item(Dtype::f32, side_by_side({5, 4100, 3}),
                 {{.rate = 0.1}, {.rate = 0}, {.rate = 0.1}});
  const Values before = values_of(item.forward.parameters);
  Queue queue;
  run(queue, item.forward);
  const Values after = values_of(item.forward.parameters);
  for (std::size_t i = 0; i < before.size(); ++i)
    CHECK((after[i] == before[i]) == (i >= 5 && i < 4105));
}

TEST_CASE("AdamW over segments has the bits of AdamW on each alone") {
  Queue queue;
  queue.cpu.threads = GENERATE(1, 3);
  expect_same_bits_as_one_by_one(segments_of_a_shard(), three_groups(),
                                 [&](const AdamW& op) { run(queue, op); });
}

TEST_CASE("the sum of squares is taken in f64") {
  SumOfSquaresCase item(Dtype::f32, 10001);
  Queue queue;
  run(queue, item.forward);
  const Values x = values_of(item.forward.x);
  CHECK(values_of(item.forward.sum)[0] == Approx(dot(x, x)).epsilon(1e-12));
}

TEST_CASE("the sum of squares has the same bits on any number of threads") {
  expect_same_bits_on_any_number_of_threads<SumOfSquaresCase>(50001);
}

TEST_CASE("optimizer operators name the operand that is wrong") {
  Queue queue;
  AdamWCase item(Dtype::f32, 10, 1);
  AdamW op = item.forward;
  op.v.shape = {9};
  CHECK(message_of_error([&] { run(queue, op); }) ==
        "AdamW.v has shape (9) but must have (10): the shape of m");
  op = item.forward;
  op.segments.shape = {4, 2};
  CHECK(message_of_error([&] { run(queue, op); }) ==
        "AdamW.segments has shape (4, 2) but must have (4, 8): an AdamSegment in each row");
  op = item.forward;
  op.groups[0].time = 0;
  CHECK(message_of_error([&] { run(queue, op); }) ==
        "AdamW.groups: a time is 0 but must be at least 1: the first step is 1");
  op.groups.clear();
  CHECK(message_of_error([&] { run(queue, op); }) ==
        "AdamW.groups is empty but must hold what segments refer to");
  op = item.forward;
  op.beta2 = 1;
  CHECK(message_of_error([&] { run(queue, op); }) == "AdamW.beta2 is 1 but must be in [0, 1)");
  SumOfSquaresCase sum(Dtype::f32, 5000);
  sum.forward.partials.shape = {1};
  CHECK(message_of_error([&] { run(queue, sum.forward); }) ==
        "SumOfSquares.partials has shape (1) but must have (2): one sum per block of x");
}

// Segments over 10 parameters, of 2 groups.
std::string refusal_of(const std::vector<AdamSegment>& segments) {
  return message_of_error(
      [&] { cut_segments(segments, {.parameters = 10, .moments = 10, .groups = 2}); });
}

TEST_CASE("segments are refused that leave moments out, overlap, or are out of order") {
  const AdamSegment first{.first = 0, .moment = 0, .count = 4, .group = 0};
  const AdamSegment second{.first = 4, .moment = 4, .count = 6, .group = 1};
  CHECK(refusal_of({first, second}).empty());
  CHECK(refusal_of({first}) ==
        "AdamW.segments end at moment 4 but must end at 10: every element of m and v has its "
        "segment");
  CHECK(refusal_of({second, first}) ==
        "AdamW.segments: one begins at moment 4 but must begin at 0, where the one before it ends");
  CHECK(refusal_of({first, {.first = 4, .moment = 5, .count = 5}}) ==
        "AdamW.segments: one begins at moment 5 but must begin at 4, where the one before it ends");
  CHECK(refusal_of({first, {.first = 3, .moment = 4, .count = 6}}) ==
        "AdamW.segments: one begins at parameter 3 but must not begin before 4, where another "
        "ends");
  CHECK(refusal_of({first, {.first = 5, .moment = 4, .count = 6}}) ==
        "AdamW.segments: one ends at parameter 11 but there are 10");
  CHECK(refusal_of({first, {.first = 4, .moment = 4, .count = 6, .group = 2}}) ==
        "AdamW.segments: one is of group 2 but there are 2");
}

TEST_CASE("segments are cut where they are long, and keep their order") {
  const auto cut = cut_segments({{.first = 5000, .moment = 0, .count = 4097, .group = 1},
                                 {.first = 0, .moment = 4097, .count = 7, .group = 0}},
                                {.parameters = 9097, .moments = 4104, .groups = 2});
  REQUIRE(cut.size() == 3);
  CHECK((cut[0].first == 5000 && cut[0].moment == 0 && cut[0].count == 4096 && cut[0].group == 1));
  CHECK((cut[1].first == 9096 && cut[1].moment == 4096 && cut[1].count == 1 && cut[1].group == 1));
  CHECK((cut[2].first == 0 && cut[2].moment == 4097 && cut[2].count == 7 && cut[2].group == 0));
}

}  // namespace metascale
