#include "tests/kernels/time_mix_cases.hpp"

namespace metascale {
namespace {

using namespace testing;

double sigma(double x) { return 1 / (1 + std::exp(-x)); }

double squares_of_head(const Values& rows, std::size_t head, std::size_t N) {
  double sum = 0;
  for (std::size_t n = 0; n < N; ++n) sum += rows[head * N + n] * rows[head * N + n];
  return sum;
}

TEST_CASE("the removal key of every head has length one and the replacement key its rate") {
  const TimeMixOperandsCase item(Dtype::f64, 3, 2, 7);
  Queue queue;
  run(queue, item.forward);
  const Values a = values_of(item.forward.a), b = values_of(item.forward.b),
               rate = values_of(item.forward.rate_logit);
  for (std::size_t head = 0; head < 6; ++head)
    CHECK(squares_of_head(a, head, 7) == Approx(1).epsilon(1e-12));
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(b[i] == Approx(-a[i] * sigma(rate[i])));
}

TEST_CASE("the key is scaled by its rate as far as k_a says") {
  const TimeMixOperandsCase item(Dtype::f64, 2, 2, 5, Layer::first);
  Values k_a(10, 0.0);
  k_a[3] = 1;
  assign(item.forward.k_a, k_a);
  Queue queue;
  run(queue, item.forward);
  const Values k = values_of(item.forward.k), k_raw = values_of(item.forward.k_raw),
               rate = values_of(item.forward.rate_logit);
  for (std::size_t i = 0; i < k.size(); ++i)
    CHECK(k[i] == Approx(i % 10 == 3 ? k_raw[i] * sigma(rate[i]) : k_raw[i]));
}

TEST_CASE("the value gate chooses between the layer's own value and the first layer's") {
  const TimeMixOperandsCase item(Dtype::f64, 1, 1, 3);
  assign(item.forward.value_logit, {-100, 100, 0});
  assign(item.forward.v_raw, {1, 2, 3});
  assign(item.forward.v_first, {10, 20, 30});
  Queue queue;
  run(queue, item.forward);
  const Values v = values_of(item.forward.v);
  CHECK(v[0] == Approx(1));
  CHECK(v[1] == Approx(20));
  CHECK(v[2] == Approx(16.5));
}

TEST_CASE("a key of zeros gives removal keys of zero and finite gradients") {
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  const TimeMixOperandsCase item(dtype, 2, 2, 8);
  assign(item.forward.k_raw, Values(32, 0.0));
  Queue queue;
  run_case(queue, item);
  CHECK(norm(values_of(item.forward.a)) == 0);
  for (const Named& output : outputs_of_case(item)) {
    INFO(output.name);
    CHECK(std::isfinite(norm(values_of(output.tensor))));
  }
}

TEST_CASE("time mix operands have the gradients of finite differences") {
  const Layer layer = GENERATE(Layer::first, Layer::later);
  const TimeMixOperandsCase item(Dtype::f64, 3, 2, 7, layer);
  std::vector<Result> results{{item.forward.k, item.backward.dk},
                              {item.forward.a, item.backward.da},
                              {item.forward.b, item.backward.db}};
  std::vector<Differentiated> operands{
      {"k_raw", item.forward.k_raw, item.backward.dk_raw},
      {"rate_logit", item.forward.rate_logit, item.backward.drate_logit},
      {"k_k", item.forward.k_k, item.backward.dk_k},
      {"k_a", item.forward.k_a, item.backward.dk_a}};
  if (layer == Layer::later) {
    results.push_back({item.forward.v, item.backward.dv});
    operands.push_back({"v_raw", item.forward.v_raw, item.backward.dv_raw});
    operands.push_back({"v_first", item.forward.v_first, item.backward.dv_first});
    operands.push_back({"value_logit", item.forward.value_logit, item.backward.dvalue_logit});
  }
  expect_gradients_of_differences(item, results, operands);
}

TEST_CASE("time mix operands agree in f32 and f64") {
  expect_f32_close_to_f64<TimeMixOperandsCase>(150, 3, 64);
  expect_f32_close_to_f64<TimeMixOperandsCase>(5, 2, 7, Layer::first);
}

TEST_CASE("time mix operands are the same bits on any number of threads") {
  expect_same_bits_on_any_number_of_threads<TimeMixOperandsCase>(150, 12, 64);
}

TEST_CASE("time mix operands add to the gradients they find") {
  const TimeMixOperandsCase item(Dtype::f64, 4, 3, 5);
  Queue queue;
  run(queue, item.forward);
  expect_adds_to_the_gradients_it_finds(queue, item.backward);
}

TEST_CASE("the time mix output is the gated sum of the normalised read-out and the bonus") {
  const TimeMixOutputCase item(Dtype::f64, 2, 2, 6);
  Queue queue;
  run(queue, item.forward);
  const TimeMixOutputForward& op = item.forward;
  const Values y = values_of(op.y), r = values_of(op.r), k = values_of(op.k), v = values_of(op.v),
               gate = values_of(op.gate), weight = values_of(op.weight), bias = values_of(op.bias),
               bonus = values_of(op.bonus), out = values_of(op.out), scale = values_of(op.scale);
  for (std::size_t head = 0; head < 4; ++head) {
    double mean = 0, variance = 0, s = 0;
    for (std::size_t n = 0; n < 6; ++n) mean += y[head * 6 + n] / 6;
    for (std::size_t n = 0; n < 6; ++n) {
      const std::size_t i = head * 6 + n;
      variance += (y[i] - mean) * (y[i] - mean) / 6;
      s += r[i] * k[i] * bonus[i % 12];
    }
    CHECK(scale[head] == Approx(1 / std::sqrt(variance + 6e-5)));
    for (std::size_t n = 0; n < 6; ++n) {
      const std::size_t i = head * 6 + n, c = i % 12;
      const double yhat = (y[i] - mean) / std::sqrt(variance + 6e-5);
      CHECK(out[i] == Approx((yhat * weight[c] + bias[c] + s * v[i]) * gate[i]));
    }
  }
}

TEST_CASE("the norm of a constant read-out is zero and finite") {
  const TimeMixOutputCase item(Dtype::f32, 1, 1, 16);
  assign(item.forward.y, Values(16, 0.0));
  Queue queue;
  run_case(queue, item);
  CHECK(norm(values_of(item.forward.yhat)) == 0);
  CHECK(std::isfinite(norm(values_of(item.backward.dy))));
}

TEST_CASE("the time mix output has the gradients of finite differences") {
  const bool read_twice = GENERATE(false, true);  // yhat, also by read_out time_mix
  TimeMixOutputCase item(Dtype::f64, 3, 2, 7);
  std::vector<Result> results{{item.forward.out, item.backward.dout}};
  if (read_twice)
    results.push_back({item.forward.yhat, item.backward.dyhat});
  else
    item.backward.dyhat = {};
  expect_gradients_of_differences(item, results,
                                  {{"y", item.forward.y, item.backward.dy},
                                   {"r", item.forward.r, item.backward.dr},
                                   {"k", item.forward.k, item.backward.dk},
                                   {"v", item.forward.v, item.backward.dv},
                                   {"gate", item.forward.gate, item.backward.dgate},
                                   {"weight", item.forward.weight, item.backward.dweight},
                                   {"bias", item.forward.bias, item.backward.dbias},
                                   {"bonus", item.forward.bonus, item.backward.dbonus}});
}

TEST_CASE("the time mix output agrees in f32 and f64") {
  expect_f32_close_to_f64<TimeMixOutputCase>(150, 3, 64);
}

TEST_CASE("the time mix output is the same bits on any number of threads") {
  expect_same_bits_on_any_number_of_threads<TimeMixOutputCase>(150, 12, 64);
}

TEST_CASE("the time mix output adds to the gradients it finds") {
  const TimeMixOutputCase item(Dtype::f64, 4, 3, 5);
  Queue queue;
  run(queue, item.forward);
  expect_adds_to_the_gradients_it_finds(queue, item.backward);
}

TEST_CASE("the time mix names the operand that does not fit") {
  Queue queue;
  TimeMixOperandsCase operands(Dtype::f32, 3, 2, 4);
  const auto refusal = [&](const auto& op) { return message_of_error([&] { run(queue, op); }); };

  TimeMixOperandsForward forward = operands.forward;
  forward.rate_logit = operands.memory.random({3, 7});
  CHECK(refusal(forward) ==
        "TimeMixOperandsForward.rate_logit has shape (3, 7) but must have (3, 8): (R, A) of k_raw");
  forward = operands.forward;
  forward.inverse_norm = operands.memory.output({3, 3});
  CHECK(refusal(forward) ==
        "TimeMixOperandsForward.inverse_norm has 3 heads, among which the 8 channels of "
        "TimeMixOperandsForward.k_raw cannot be shared out");
  forward = operands.forward;
  forward.v_first = {};
  CHECK(refusal(forward) ==
        "TimeMixOperandsForward.v_first was left out but TimeMixOperandsForward.v was given: give "
        "the value residual's operands all, or (in the first layer) none");
  TimeMixOperandsBackward backward = operands.backward;
  backward.dk_a = operands.memory.gradient({9});
  CHECK(refusal(backward) ==
        "TimeMixOperandsBackward.dk_a has shape (9) but must have (8): one number per channel");

  TimeMixOutputCase output(Dtype::f32, 3, 2, 4);
  TimeMixOutputForward output_forward = output.forward;
  output_forward.bonus = output.memory.random({8});
  CHECK(refusal(output_forward) ==
        "TimeMixOutputForward.bonus has shape (8) but must have (2, 4): (H, N) of y");
  TimeMixOutputBackward output_backward = output.backward;
  output_backward.dyhat = output.memory.random({3, 2, 5});
  CHECK(refusal(output_backward) ==
        "TimeMixOutputBackward.dyhat has shape (3, 2, 5) but must have (3, 2, 4): (R, H, N) of "
        "yhat");
}

}  // namespace
}  // namespace metascale
