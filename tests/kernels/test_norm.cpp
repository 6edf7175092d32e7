#include "tests/kernels/norm_cases.hpp"

namespace metascale {
namespace {

using namespace testing;

struct RowMoments {
  double mean = 0, mean_square = 0;
};

RowMoments moments_of_row(const Values& y, std::size_t row, std::size_t D) {
  RowMoments moments;
  for (std::size_t i = 0; i < D; ++i) {
    moments.mean += y[row * D + i] / double(D);
    moments.mean_square += y[row * D + i] * y[row * D + i] / double(D);
  }
  return moments;
}

}  // namespace

TEST_CASE("layer norm gives every row mean 0 and variance 1") {
  LayerNormCase norm(Dtype::f64, 5, 48);
  assign(norm.forward.weight, Values(48, 1.0));
  assign(norm.forward.bias, Values(48, 0.0));
  Queue queue;
  run(queue, norm.forward);
  for (std::size_t row = 0; row < 5; ++row) {
    const RowMoments moments = moments_of_row(values_of(norm.forward.y), row, 48);
    CHECK(moments.mean == Approx(0).margin(1e-12));
    CHECK(moments.mean_square == Approx(1).epsilon(1e-4));
  }
}

TEST_CASE("layer norm keeps the mean and the scale of every row") {
  LayerNormCase norm(Dtype::f64, 2, 4);
  assign(norm.forward.x, {1, 2, 3, 6, -1, -1, -1, -1});
  norm.forward.epsilon = 0.5;
  Queue queue;
  run(queue, norm.forward);
  const Values mean = values_of(norm.forward.mean), scale = values_of(norm.forward.scale);
  CHECK(mean[0] == Approx(3));
  CHECK(scale[0] == Approx(1 / std::sqrt(3.5 + 0.5)));
  CHECK(mean[1] == Approx(-1));
  CHECK(scale[1] == Approx(1 / std::sqrt(0.5)));
}

TEST_CASE("layer norm has the gradients of finite differences") {
  LayerNormCase norm(Dtype::f64, 3, 37);
  expect_gradients_of_differences(norm, {{norm.forward.y, norm.backward.dy}},
                                  {{"x", norm.forward.x, norm.backward.dx},
                                   {"weight", norm.forward.weight, norm.backward.dweight},
                                   {"bias", norm.forward.bias, norm.backward.dbias}});
}

TEST_CASE("rms norm makes the mean square of a row one") {
  RmsNormCase norm(Dtype::f64, 5, 48);
  assign(norm.forward.weight, Values(48, 1.0));
  Queue queue;
  run(queue, norm.forward);
  for (std::size_t row = 0; row < 5; ++row)
    CHECK(moments_of_row(values_of(norm.forward.y), row, 48).mean_square ==
          Approx(1).epsilon(1e-4));
}

TEST_CASE("rms norm has the gradients of finite differences") {
  RmsNormCase norm(Dtype::f64, 3, 37);
  expect_gradients_of_differences(norm, {{norm.forward.y, norm.backward.dy}},
                                  {{"x", norm.forward.x, norm.backward.dx},
                                   {"weight", norm.forward.weight, norm.backward.dweight}});
}

TEST_CASE("head norm gives every head mean 0 and variance 1") {
  HeadNormCase norm(Dtype::f64, 2, 3, 16);
  Queue queue;
  run(queue, norm.forward);
  for (std::size_t row = 0; row < 6; ++row) {
    const RowMoments moments = moments_of_row(values_of(norm.forward.y), row, 16);
    CHECK(moments.mean == Approx(0).margin(1e-12));
    CHECK(moments.mean_square == Approx(1).epsilon(1e-4));
  }
}

TEST_CASE("head norm of zeros is zero") {
  HeadNormCase norm(Dtype::f32, 1, 2, 8);
  assign(norm.forward.x, Values(16, 0.0));
  Queue queue;
  run_case(queue, norm);
  CHECK(values_of(norm.forward.y) == Values(16, 0.0));
  for (const double value : values_of(norm.backward.dx)) CHECK(std::isfinite(value));
}

TEST_CASE("head norm has the gradients of finite differences") {
  HeadNormCase norm(Dtype::f64, 3, 2, 11);
  expect_gradients_of_differences(norm, {{norm.forward.y, norm.backward.dy}},
                                  {{"x", norm.forward.x, norm.backward.dx}});
}

TEST_CASE("a norm that adds leaves the bits of a sum and a norm behind it") {
  const Dtype storage = GENERATE(Dtype::f32, Dtype::f64, Dtype::bf16);
  Queue queue;
  queue.cpu.threads = 3;
  const auto execute = [&](const auto& op) { run(queue, op); };
  expect_bits_of_add_and_norm<LayerNormCase>(storage, execute);
  expect_bits_of_add_and_norm<RmsNormCase>(storage, execute);
}

TEST_CASE("a branch that takes x away leaves the bias of a layer norm, and zero of an RMS norm") {
  Queue queue;
  LayerNormCase layer(Dtype::f32, 3, 37, 2);
  RmsNormCase rms(Dtype::f32, 3, 37, 2);
  for (const auto& [x, branch] :
       {std::pair{layer.forward.x, layer.forward.branch}, {rms.forward.x, rms.forward.branch}}) {
    Values opposite = values_of(x);
    for (double& value : opposite) value = -value;
    assign(branch, opposite);
  }
  run(queue, layer.forward);
  run(queue, rms.forward);
  const Values bias = values_of(layer.forward.bias), y = values_of(layer.forward.y);
  for (std::size_t i = 0; i < y.size(); ++i) REQUIRE(y[i] == bias[i % 37]);
  CHECK(values_of(rms.forward.y) == Values(3 * 37, 0.0));
}

TEST_CASE("norms that add have the gradients of finite differences, the same for every summand") {
  LayerNormCase layer(Dtype::f64, 3, 37, 3);
  expect_gradients_of_differences(layer, {{layer.forward.y, layer.backward.dy}},
                                  {{"x", layer.forward.x, layer.backward.dx},
                                   {"branch", layer.forward.branch, layer.backward.dx},
                                   {"second", layer.forward.second_branch, layer.backward.dx},
                                   {"weight", layer.forward.weight, layer.backward.dweight},
                                   {"bias", layer.forward.bias, layer.backward.dbias}});
  RmsNormCase rms(Dtype::f64, 3, 37, 2);
  expect_gradients_of_differences(rms, {{rms.forward.y, rms.backward.dy}},
                                  {{"x", rms.forward.x, rms.backward.dx},
                                   {"branch", rms.forward.branch, rms.backward.dx},
                                   {"weight", rms.forward.weight, rms.backward.dweight}});
}

TEST_CASE("norms add to the gradients they find") {
  Queue queue;
  LayerNormCase layer(Dtype::f64, 7, 33);
  run(queue, layer.forward);
  expect_adds_to_the_gradients_it_finds(queue, layer.backward);
  RmsNormCase rms(Dtype::f64, 7, 33);
  run(queue, rms.forward);
  expect_adds_to_the_gradients_it_finds(queue, rms.backward);
  HeadNormCase head(Dtype::f64, 5, 3, 9);
  run(queue, head.forward);
  expect_adds_to_the_gradients_it_finds(queue, head.backward);
}

TEST_CASE("norms in f32 are close to f64") {
  expect_f32_close_to_f64<LayerNormCase>(301, 70);
  expect_f32_close_to_f64<RmsNormCase>(301, 70);
  expect_f32_close_to_f64<HeadNormCase>(50, 3, 32);
  expect_f32_close_to_f64<LayerNormCase>(301, 70, 3);
  expect_f32_close_to_f64<RmsNormCase>(301, 70, 2);
}

TEST_CASE("norms have the same bits on any number of threads") {
  expect_same_bits_on_any_number_of_threads<LayerNormCase>(301, 70);
  expect_same_bits_on_any_number_of_threads<RmsNormCase>(301, 70);
  expect_same_bits_on_any_number_of_threads<HeadNormCase>(50, 3, 32);
  expect_same_bits_on_any_number_of_threads<LayerNormCase>(301, 70, 3);
  expect_same_bits_on_any_number_of_threads<RmsNormCase>(301, 70, 2);
}

TEST_CASE("norms take leading axes unmerged") {
  LayerNormCase norm(Dtype::f64, 6, 8), same(Dtype::f64, 6, 8);
  norm.forward.x = norm.forward.x.reshaped({2, 3, 8});
  norm.forward.y = norm.forward.y.reshaped({2, 3, 8});
  Queue queue;
  run(queue, norm.forward);
  run(queue, same.forward);
  CHECK(values_of(norm.forward.y) == values_of(same.forward.y));
}

TEST_CASE("norms name the operand that is wrong") {
  Queue queue;
  LayerNormCase layer(Dtype::f64, 2, 32);
  layer.forward.weight.shape = {31};
  CHECK(message_of_error([&] { run(queue, layer.forward); }) ==
        "LayerNormForward.weight has shape (31) but must have (32): one factor per column of x");
  LayerNormBackward backward = layer.backward;
  backward.dbias.shape = {2};
  CHECK(message_of_error([&] { run(queue, backward); }) ==
        "LayerNormBackward.dbias has shape (2) but must have (32): the shape of bias");
  layer.backward.dy.dtype = Dtype::f32;
  CHECK(message_of_error([&] { run(queue, layer.backward); }) ==
        "LayerNormBackward.dy is f32 but must be f64: LayerNormBackward.dx is f64");
  RmsNormCase rms(Dtype::f64, 2, 32);
  rms.forward.y.shape = {2, 31};
  CHECK(message_of_error([&] { run(queue, rms.forward); }) ==
        "RmsNormForward.y has shape (2, 31) but must have (2, 32): the shape of x");
  rms.backward.scale.shape = {3};
  CHECK(message_of_error([&] { run(queue, rms.backward); }) ==
        "RmsNormBackward.scale has shape (3) but must have (2): one scale per row of x");
  HeadNormCase head(Dtype::f64, 2, 3, 4);
  head.forward.scale.shape = {6};
  CHECK(message_of_error([&] { run(queue, head.forward); }) ==
        "HeadNormForward.scale has shape (6) but must have (2, 3): one scale per row and head of "
        "x");
  head.backward.y.shape = {2, 12};
  CHECK(message_of_error([&] { run(queue, head.backward); }) ==
        "HeadNormBackward.y has shape (2, 12) but must have (2, 3, 4): the shape of dy");
}

TEST_CASE("norms that add name the summand that is wrong") {
  Queue queue;
  LayerNormCase layer(Dtype::f64, 2, 32, 3);
  LayerNormForward op = layer.forward;
  op.branch.shape = {2, 31};
  CHECK(message_of_error([&] { run(queue, op); }) ==
        "LayerNormForward.branch has shape (2, 31) but must have (2, 32): the shape of x");
  op = layer.forward;
  op.sum = {};
  CHECK(message_of_error([&] { run(queue, op); }) ==
        "LayerNormForward.sum has shape () but must have (2, 32): the shape of x");
  op = layer.forward;
  op.branch = {};
  CHECK(message_of_error([&] { run(queue, op); }) ==
        "LayerNormForward.sum has shape (2, 32) but must have (): no branch is added to x");
  RmsNormCase rms(Dtype::f64, 2, 32, 3);
  rms.forward.second_branch.shape = {64};
  CHECK(message_of_error([&] { run(queue, rms.forward); }) ==
        "RmsNormForward.second_branch has shape (64) but must have (2, 32): the shape of x");
}

TEST_CASE("the plan counts the cost of a norm without running it") {
  Queue plan{.device = Device::plan};
  const Shape rows{1 << 20, 4096};  // 32 GiB in f64: nothing is there
  run(plan, RmsNormForward{.y = {nullptr, rows, Dtype::f64},
                           .scale = {nullptr, {rows[0]}, Dtype::f64},
                           .x = {nullptr, rows, Dtype::f64},
                           .weight = {nullptr, {rows[1]}, Dtype::f64}});
  CHECK(plan.planned.flops == 4.0 * (1 << 20) * 4096);
  CHECK(plan.planned.bytes == 8.0 * (2.0 * (1 << 20) * 4096 + (1 << 20) + 4096));
}

TEST_CASE("a norm that adds costs what a sum and a norm cost, but for one look at the sum") {
  Queue together{.device = Device::plan}, apart{.device = Device::plan};
  RmsNormCase norm(Dtype::f32, 5, 16, 3);
  const RmsNormForward& op = norm.forward;
  run(together, op);
  run(apart, AddForward{.y = op.sum, .a = op.x, .b = op.branch, .c = op.second_branch});
  run(apart, RmsNormForward{.y = op.y, .scale = op.scale, .x = op.sum, .weight = op.weight});
  CHECK(together.planned.flops == apart.planned.flops);
  CHECK(together.planned.bytes == apart.planned.bytes - double(op.sum.bytes()));
}

}  // namespace metascale
