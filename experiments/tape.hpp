// The tape: a model is written forward only; running it once records every operator of a step,
// forward and backward, and where each buffer lives in ONE allocation. The steady state replays the
// record.
//
//   Tape tape({...});
//   Tensor y = layer_norm(tape, x, ...);   layers record operators and their backward
//   tape.finish();                         backward recorded, memory planned, nothing executed yet
//   tape.bind(input, memory); tape.execute(queue);
//
// On Device::plan nothing is ever bound: costs and peak memory come from the same lines that train.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <typeinfo>
#include <vector>

#include "experiments/config.hpp"
#include "experiments/parameters.hpp"
#include "kernels/memory.hpp"
#include "kernels/queue.hpp"

namespace metascale {

struct TapeOptions {
  Dtype dtype = Dtype::f32;   // computed in
  bool bf16 = false;          // round the operands of matrix products to bfloat16
  bool bf16_storage = false;  // keep activations and their gradients in bfloat16; needs bf16
  bool training = true;       // record the backward
  Recompute recompute = Recompute::none;
  Device device = Device::cpu;  // sizes of scratch
  WkvForm wkv = WkvForm::automatic;
  LowRankForm low_rank = LowRankForm::separate;
};

// A recorded operator, its type erased.
class Step {
 public:
  using Visitor = std::function<void(const char* field, Tensor& tensor, Use use)>;
  virtual ~Step() = default;
  virtual void execute(Queue& queue) const = 0;
  virtual Cost cost() const = 0;
  virtual void visit(const Visitor& visitor) = 0;
  virtual std::unique_ptr<Step> clone() const = 0;
  virtual const char* name() const = 0;  // mangled type name
};

class Tape {
 public:
  explicit Tape(TapeOptions options, ParameterList& parameters);

  const TapeOptions& options() const { return options_; }
  Dtype dtype() const { return options_.dtype; }

  // What the caller fills before every execution; receives no gradient.
  Tensor input(const std::string& name, Shape shape, Dtype dtype);
  // State carried from one execution to the next: `before` is read, `after` is written.
  struct Carried {
    Tensor before, after;
  };
  Carried carried(const std::string& name, Shape shape);
  // State that an execution changes in place: before and after are one buffer.
  Tensor kept_state(const std::string& name, Shape shape);
  // Declares a parameter at its first use and returns it.
  Tensor parameter(const ParameterSpec& spec);

  // The parameter as matrix products read it: itself, or its bf16 copy where activations are bf16.
  Tensor operand(const Tensor& parameter);

  Tensor activation(Shape shape) {
    return internal(shape, options_.bf16_storage ? Dtype::bf16 : options_.dtype);
  }
  // What is kept exact whatever the activations are: row statistics, states, losses.
  Tensor statistic(Shape shape) { return internal(shape, options_.dtype); }
  Tensor scratch(Shape shape, Dtype dtype) { return internal(shape, dtype); }

  // What the caller reads after an execution: its memory is not used again within it.
  void keep(const Tensor& tensor) { kept_.push_back(tensor.buffer); }

  // Checks op and records it, after those before it.
  template <typename Op>
  void run(Op op);

  // Called in reverse order by finish(), to record the backward of what was just run.
  void on_backward(std::function<void()> record);
  // The gradient of x; it is added to. Exists from its first mention in the backward on.
  Tensor gradient(const Tensor& x);
  bool has_gradient(const Tensor& x) const;
  // The gradient of x is that of y, read only: y is a sum with x as a summand that nobody else
  // reads; finish() throws where somebody does.
  void share_gradient(const Tensor& x, const Tensor& y);

  // Operators run between these two belong to one block (the unit of recompute).
  void begin_block();
  void end_block();

  void finish();

  std::size_t planned_bytes() const { return planned_bytes_; }  // activations, gradients, scratch
  Cost forward_cost() const { return forward_cost_; }
  Cost total_cost() const { return total_cost_; }
  struct LiveBuffer {
    std::string made_by;
    std::size_t bytes;
  };
  std::vector<LiveBuffer> at_peak()
      const;  // what is live where memory use is highest, largest first

  // Attaches memory: planned buffers to `memory` (planned_bytes long), parameters to their arenas.
  void bind_memory(std::byte* memory);
  void bind_parameters(std::byte* values, std::byte* gradients, std::byte* copies = nullptr);
  void bind(const Tensor& external, void* data);  // an input or carried state
  const std::map<std::string, Carried>& carried_states() const { return carried_; }
  void* address(const Tensor& tensor) const;  // after binding

  // after: called with the number of each operator that was executed.
  void execute(Queue& queue, const std::function<void(std::size_t)>& after = {}) const;
  // By offset in the arenas, the number of the operator after which a parameter's gradient is
  // complete.
  std::map<std::int64_t, std::size_t> gradients_ready() const;
  std::size_t step_count() const { return steps_.size(); }
  // The operands that exist of an operator, by its number.
  void visit(
      std::size_t step,
      const std::function<void(const char* field, const Tensor& tensor, Use use)>& visitor) const;
  // The name of the parameter that a tensor is, or is a copy of; "": of none.
  std::string parameter_name(const Tensor& tensor) const;
  std::vector<std::string> operators() const;  // mangled type names, in the order of execution

 private:
  enum class Home { planned, external, parameter, parameter_copy, parameter_gradient };
  struct BufferRecord {
    Home home = Home::planned;
    std::size_t bytes = 0;
    std::int64_t offset = 0;             // planned: in memory; parameters: elements in the arena
    std::int64_t first = -1, last = -1;  // steps that touch it
    std::byte* data = nullptr;
  };
  struct Closure {
    std::function<void()> record;
    int block;
  };
  struct BlockRange {
    std::size_t begin, end;
  };

  Tensor internal(Shape shape, Dtype dtype);
  Tensor add_buffer(Home home, Shape shape, Dtype dtype, std::int64_t offset);
  void append(std::unique_ptr<Step> step);
  void record_backward();
  void recompute_block(int block);
  void drop_unread_recomputations();
  void find_lifetimes();
  void check_shared_gradients() const;
  void mark_fresh_gradients();
  void assign_offsets();
  void attach();

  TapeOptions options_;
  ParameterList& parameters_;
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<bool> recomputed_;  // per step
  std::vector<BufferRecord> buffers_;
  std::map<std::int32_t, Tensor> gradients_;  // by the buffer they belong to
  std::vector<Closure> closures_;
  std::vector<BlockRange> blocks_;
  std::map<std::int32_t, std::int32_t> renamed_;  // buffers of the block being recomputed
  std::map<std::string, Carried> carried_;
  std::vector<std::int32_t> kept_;
  std::map<std::int32_t, const Step*> shared_;  // gradients shared, and the last step before that
  int block_ = -1;
  bool finished_ = false;
  std::size_t planned_bytes_ = 0;
  Cost forward_cost_, total_cost_;
};

namespace tape_detail {

template <typename Op>
class OpStep final : public Step {
 public:
  explicit OpStep(Op op) : op_(std::move(op)) {}
  void execute(Queue& queue) const override { metascale::run(queue, op_); }
  Cost cost() const override { return op_.cost(); }
  void visit(const Visitor& visitor) override {
    Op::operands(op_, [&](const char* field, Tensor& tensor, Use use) {
      if (tensor.exists()) visitor(field, tensor, use);
    });
  }
  std::unique_ptr<Step> clone() const override { return std::make_unique<OpStep>(*this); }
  const char* name() const override { return typeid(Op).name(); }

 private:
  Op op_;
};

}  // namespace tape_detail

template <typename Op>
void Tape::run(Op op) {
  op.check();
  append(std::make_unique<tape_detail::OpStep<Op>>(std::move(op)));
}

}  // namespace metascale
