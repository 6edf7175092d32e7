// Times every operator of kernels/ on the CPU at the sizes of a 10M-parameter model and prints
// medians:
//   bench_operators [threads] [part of a name]
// GFLOP/s and GB/s divide what Op::cost() counts by the time, so a figure above the machine's copy
// rate means that operands stayed in cache.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/attention.hpp"
#include "kernels/cross_entropy.hpp"
#include "kernels/elementwise.hpp"
#include "kernels/embedding.hpp"
#include "kernels/matmul.hpp"
#include "kernels/norm.hpp"
#include "kernels/optimizer.hpp"
#include "kernels/rotary.hpp"
#include "kernels/token_shift.hpp"

namespace {

using namespace metascale;

constexpr std::int64_t B = 8, T = 256, H = 6, N = 64, D = H * N, F = 4 * D, V = 4096, R = B * T;

class Buffers {  // tensors with memory of their own, filled with small random numbers
 public:
  Tensor numbers(Shape shape) {
    std::vector<float>& values = floats_.emplace_back(std::size_t(shape.size()));
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (float& value : values) value = uniform(generator_);
    return {values.data(), shape, Dtype::f32};
  }
  Tensor positive(Shape shape) {
    const Tensor result = numbers(shape);
    float* values = result.pointer<float>();
    for (std::int64_t i = 0; i < shape.size(); ++i) values[i] = std::abs(values[i]);
    return result;
  }
  Tensor tokens(Shape shape) {
    std::vector<std::int32_t>& values = integers_.emplace_back(std::size_t(shape.size()));
    for (std::int32_t& value : values) value = std::int32_t(generator_() % V);
    return {values.data(), shape, Dtype::i32};
  }
  Tensor rounded(std::int64_t count) {
    std::vector<bfloat16>& values = halves_.emplace_back(std::size_t(count));
    return {values.data(), {count}, Dtype::bf16};
  }
  Tensor doubles(Shape shape) {
    std::vector<double>& values = doubles_.emplace_back(std::size_t(shape.size()));
    return {values.data(), shape, Dtype::f64};
  }

 private:
  std::mt19937 generator_{1};
  std::deque<std::vector<float>> floats_;
  std::deque<std::vector<std::int32_t>> integers_;
  std::deque<std::vector<bfloat16>> halves_;
  std::deque<std::vector<double>> doubles_;
};

struct Item {
  std::string name;
  Cost cost;
  std::function<void(Queue&)> execute;
};

class Suite {
 public:
  template <typename Op>
  void add(const std::string& name, const Op& op) {
    items_.push_back({name, op.cost(), [op](Queue& queue) { run(queue, op); }});
  }
  const std::vector<Item>& items() const { return items_; }
  Buffers buffers;

 private:
  std::vector<Item> items_;
};

void add_products(Suite& suite) {
  Buffers& buffers = suite.buffers;
  struct Size {
    std::int64_t M, N, K;
  };
  for (const auto& [rows, columns, inner] :
       {Size{R, D, D}, Size{R, F, D}, Size{R, D, F}, Size{R, 32, D}, Size{R, D, 32}})
    for (const bool bf16 : {false, true}) {
      const Tensor x = buffers.numbers({rows, inner}), weight = buffers.numbers({columns, inner});
      const Tensor y = buffers.numbers({rows, columns}), dx = buffers.numbers({rows, inner});
      const std::string name =
          concat("matmul ", bf16 ? "bf16 " : "f32 ", rows, "x", columns, "x", inner);
      Matmul forward{.c = y, .a = x, .b = weight, .transpose_b = true, .bf16 = bf16};
      Matmul input{.c = dx, .a = y, .b = weight, .add = true, .bf16 = bf16};
      Matmul weights{.c = weight, .a = y, .b = x, .transpose_a = true, .add = true, .bf16 = bf16};
      for (Matmul* op : {&forward, &input, &weights})
        if (bf16) op->scratch = buffers.rounded(op->scratch_elements());
      suite.add(name + " y", forward);
      suite.add(name + " dx", input);
      suite.add(name + " dW", weights);
    }
  suite.add("column_sum", ColumnSum{.dbias = buffers.numbers({D}), .dy = buffers.numbers({R, D})});
}

void add_norms(Suite& suite) {
  Buffers& buffers = suite.buffers;
  const Tensor x = buffers.numbers({R, D}), y = buffers.numbers({R, D}),
               dy = buffers.numbers({R, D});
  const Tensor w = buffers.numbers({D}), dw = buffers.numbers({D}), db = buffers.numbers({D});
  const Tensor mean = buffers.numbers({R}), scale = buffers.positive({R});
  suite.add("layer_norm forward", LayerNormForward{y, mean, scale, x, w, w});
  suite.add("layer_norm backward", LayerNormBackward{y, dw, db, dy, x, w, mean, scale});
  suite.add("rms_norm forward", RmsNormForward{y, scale, x, w});
  suite.add("rms_norm backward", RmsNormBackward{y, dw, dy, x, w, scale});
  const Shape heads{R, H, N};
  const Tensor head_scale = buffers.positive({R, H});
  suite.add("head_norm forward", HeadNormForward{y.reshaped(heads), head_scale, x.reshaped(heads)});
  suite.add("head_norm backward",
            HeadNormBackward{dy.reshaped(heads), x.reshaped(heads), y.reshaped(heads), head_scale});
}

void add_elementwise(Suite& suite) {
  Buffers& buffers = suite.buffers;
  const Tensor x = buffers.numbers({R, F}), y = buffers.numbers({R, F}),
               z = buffers.numbers({R, F});
  const Tensor dx = buffers.numbers({R, F}), dz = buffers.numbers({R, F});
  for (const auto& [name, kind] :
       {std::pair{"relu_squared", ActivationKind::relu_squared},
        std::pair{"gelu_tanh", ActivationKind::gelu_tanh},
        std::pair{"gelu_erf", ActivationKind::gelu_erf}, std::pair{"tanh", ActivationKind::tanh},
        std::pair{"sigmoid", ActivationKind::sigmoid}}) {
    suite.add(concat(name, " forward"), ActivationForward{y, x, kind});
    suite.add(concat(name, " backward"), ActivationBackward{dx, y, x, kind});
  }
  suite.add("swiglu forward", SwigluForward{y, x, z});
  suite.add("swiglu backward", SwigluBackward{dx, dz, y, x, z});
  suite.add("add of two", AddForward{y, x, z});
  suite.add("accumulate", Accumulate{dx, y});
  suite.add("cast to bf16", Cast{buffers.rounded(R * F).reshaped({R, F}), x});
}

void add_sequences(Suite& suite) {
  Buffers& buffers = suite.buffers;
  const Shape rows{B, T, D}, heads{B, T, H, N};
  const Tensor x = buffers.numbers(rows), dx = buffers.numbers(rows);
  TokenShiftForward forward{.x = x, .mixes = 6};
  TokenShiftBackward backward{.dx = dx, .x = x, .mixes = 6};
  for (std::size_t m = 0; m < 6; ++m) {
    forward.y[m] = backward.dy[m] = buffers.numbers(rows);
    forward.mix[m] = backward.mix[m] = buffers.numbers({D});
    backward.dmix[m] = buffers.numbers({D});
  }
  suite.add("token_shift x6 forward", forward);
  suite.add("token_shift x6 backward", backward);
  const Tensor q = x.reshaped(heads), k = buffers.numbers(heads), v = buffers.numbers(heads);
  const Tensor y = buffers.numbers(heads), dy = buffers.numbers(heads),
               lse = buffers.numbers({B, H, T});
  suite.add("rotary forward", RotaryForward{.y = y, .x = q, .rotated = N});
  suite.add("rotary backward", RotaryBackward{.dx = y, .dy = q, .rotated = N});
  suite.add("attention forward", AttentionForward{y, lse, q, k, v, 0.125});
  suite.add("attention backward",
            AttentionBackward{dx.reshaped(heads), buffers.numbers(heads), buffers.numbers(heads),
                              dy, y, lse, q, k, v, 0.125});
}

void add_ends(Suite& suite) {  // of a step: embedding, head and optimizer
  Buffers& buffers = suite.buffers;
  const Tensor tokens = buffers.tokens({R}), weight = buffers.numbers({V, D});
  const Tensor dweight = buffers.numbers({V, D}), x = buffers.numbers({R, D});
  const Tensor dx = buffers.numbers({R, D}), losses = buffers.numbers({R});
  suite.add("embedding forward", EmbeddingForward{dx, tokens, weight});
  suite.add("embedding backward", EmbeddingBackward{dweight, x, tokens});
  const Tensor logits = buffers.numbers({classifier_chunk(R, V), V});
  ClassifierLossAndGradients head{.losses = losses,
                                  .dx = dx,
                                  .dweight = dweight,
                                  .x = x,
                                  .weight = weight,
                                  .targets = tokens,
                                  .scales = buffers.positive({R}),
                                  .logits = logits};
  suite.add("classifier loss", ClassifierLoss{losses, x, weight, tokens, logits});
  suite.add("classifier loss and gradients f32", head);
  head.bf16 = true;
  head.scratch = buffers.rounded(head.scratch_elements());
  suite.add("classifier loss and gradients bf16", head);
  const Shape parameters{1 << 22};
  suite.add("adamw", AdamW{.parameters = buffers.numbers(parameters),
                           .m = buffers.numbers(parameters),
                           .v = buffers.positive(parameters),
                           .gradients = buffers.numbers(parameters),
                           .rate = 1e-6});
  suite.add("sum_of_squares", SumOfSquares{buffers.doubles({1}), buffers.numbers(parameters),
                                           buffers.doubles({parameters[0] / SumOfSquares::block})});
}

struct Times {
  double median, best;  // seconds
};

Times times_of(const Item& item, Queue& queue) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  double total = 0;
  item.execute(queue);  // warm: pages, packed kernels
  while (times.size() < 5 || (total < 0.2 && times.size() < 200)) {
    const auto start = Clock::now();
    item.execute(queue);
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    total += times.back();
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front()};
}

}  // namespace

int main(int count, char** words) {
  Queue queue;
  if (count > 1) queue.cpu.threads = std::max(1, std::atoi(words[1]));
  const std::string part = count > 2 ? words[2] : "";
  Suite suite;
  add_products(suite);
  add_norms(suite);
  add_elementwise(suite);
  add_sequences(suite);
  add_ends(suite);
  std::printf("%-38s %12s %12s %9s %9s   threads %d\n", "operator", "median us", "best us",
              "GFLOP/s", "GB/s", queue.cpu.threads);
  for (const Item& item : suite.items()) {
    if (item.name.find(part) == std::string::npos) continue;
    const auto [median, best] = times_of(item, queue);
    std::printf("%-38s %12.1f %12.1f %9.1f %9.1f\n", item.name.c_str(), median * 1e6, best * 1e6,
                item.cost.flops / median / 1e9, item.cost.bytes / median / 1e9);
  }
}
