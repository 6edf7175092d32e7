// Operators with operands for them, on any device, at the sizes of a model: what the benchmark
// times and compares. The same case on two devices holds the same numbers.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernels/memory.hpp"
#include "kernels/queue.hpp"

namespace metascale::cases {

struct Sizes {
  std::int64_t B, T, H, N, V;

  std::int64_t R() const { return B * T; }
  std::int64_t D() const { return H * N; }
};

struct Output {
  std::string field;
  Tensor tensor;
};

// One operator of a case. Those of a case run in order: a backward reads what its forward left.
struct Step {
  std::string name;
  Cost cost;
  std::vector<Output> outputs;
  std::function<void(Queue&)> execute;
};

// Activations are stored in `storage`; parameters, their gradients and statistics in f32.
class Case {
 public:
  // bf16_products: of operands that are stored in f32, too.
  Case(Queue& queue, Dtype storage, bool bf16_products = false)
      : queue_(queue), storage_(storage), bf16_(bf16_products || storage == Dtype::bf16) {}

  // The words of a memory [attention.hpp].
  Tensor random(Shape shape, double scale = 1, double shift = 0) {
    return filled(shape, storage_, scale, shift);
  }
  Tensor parameter(Shape shape, double scale = 1, double shift = 0) {
    return filled(shape, Dtype::f32, scale, shift);
  }
  Tensor positive(Shape shape) { return filled(shape, Dtype::f32, 0.1, 0.2); }
  Tensor indices(Shape shape, std::int64_t below);
  Tensor given(Shape shape, Dtype dtype, const void* bytes);
  Tensor output(Shape shape) { return output(shape, storage_); }
  Tensor output(Shape shape, Dtype dtype);
  Tensor statistic(Shape shape) { return output(shape, Dtype::f32); }
  Tensor gradient(Shape shape) { return fresh(output(shape)); }
  Tensor parameter_gradient(Shape shape) { return fresh(statistic(shape)); }

  Device device() const { return queue_.device; }
  Dtype storage() const { return storage_; }
  bool bf16() const { return bf16_; }

  template <typename Op>
  void add(const std::string& name, const Op& op) {
    Step step{name, op.cost(), {}, [op](Queue& queue) { run(queue, op); }};
    Op::operands(op, [&](const char* field, const Tensor& tensor, Use use) {
      const bool is_private = field == std::string("checkpoints");  // of each backend's own layout
      if (tensor.exists() && !is_private && (use == Use::write || use == Use::add))
        step.outputs.push_back({field, tensor});
    });
    steps_.push_back(std::move(step));
  }
  template <typename Operators>
  void add_both(const std::string& name, const Operators& both) {
    add(name + " forward", both.forward);
    add(name + " backward", both.backward);
  }
  const std::vector<Step>& steps() const { return steps_; }

 private:
  static Tensor fresh(Tensor tensor) {
    tensor.fresh = true;
    return tensor;
  }
  Tensor filled(Shape shape, Dtype dtype, double scale, double shift);

  Queue& queue_;
  Dtype storage_;
  bool bf16_;
  std::vector<Buffer> buffers_;
  std::vector<Step> steps_;
};

struct Family {
  const char* name;
  void (*fill)(Case& to, const Sizes& sizes);
};

// All operators there are.
const std::vector<Family>& families();

}  // namespace metascale::cases
