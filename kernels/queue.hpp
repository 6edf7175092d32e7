// Where work is sent, and the one place where a backend is chosen. What stands behind CudaQueue is
// chosen when a program is linked: CUDA, its emulator (tests), or kernels/without_cuda.cpp, which
// refuses.
//
// An operator is a struct: named Tensor fields with their shapes behind them, and
//   void check() const;                        throws an Error that names Op.field
//   Cost cost() const;                         what one execution costs
//   static void operands(auto& op, auto&& visit)
//                                              visit("name", op.name, Use::...) for every field
//   void on(CpuQueue&) const; void on(CudaQueue&) const;
// Operands that are optional may be left default (Tensor::exists() is false).
#pragma once

#include <memory>

#include "core/tensor.hpp"
#include "kernels/widen.hpp"

struct CUstream_st;

namespace metascale {

// Which vector instructions the scans and attention use. Results agree between levels up to
// rounding.
enum class Simd {
  best,  // that the processor has
  avx512,
  avx2,   // with FMA
  scalar  // the readable truth of the scans; what every processor of its kind has
};

struct CpuQueue {
  int threads = 1;
  Simd simd = Simd::best;
  std::shared_ptr<KeptMemory> kept = {};  // made when first needed

  KeptMemory& memory() {
    if (!kept) kept = std::make_shared<KeptMemory>();
    return *kept;
  }
};

namespace cuda {
class Context;
}

struct CudaQueue {
  CUstream_st* stream = nullptr;
  cuda::Context* context = nullptr;  // cuBLASLt and its workspace [kernels/gpu.hpp: Gpu]
};

// How an operator uses a field.
enum class Use {
  read,
  write,   // every element is assigned
  add,     // a gradient: added to what is there, or assigned where Tensor::fresh is set
  scratch  // its content matters neither before nor after
};

// What an op costs; summed over a step it gives executed FLOPs per token and the roofline.
struct Cost {
  double flops = 0;  // multiply-adds count 2
  double bytes = 0;  // that must move at least once

  Cost& operator+=(const Cost& other) {
    flops += other.flops;
    bytes += other.bytes;
    return *this;
  }
};

struct Queue {
  Device device = Device::cpu;
  CpuQueue cpu = {};
  CudaQueue cuda = {};
  Cost planned = {};  // summed by Device::plan
};

// op on the CPU, whichever of its operands are stored in bf16.
template <typename Op>
void run_widened(CpuQueue& queue, const Op& op) {
  bool any = false;
  Op::operands(op, [&](const char* field, const Tensor& operand, Use) {
    any = any || widened<Op>(field, operand);
  });
  if (!any) return op.on(queue);
  Op wide = op;
  WideOperands copies(queue.memory(), queue.threads);
  Op::operands(wide, [&](const char* field, Tensor& operand, Use use) {
    if (widened<Op>(field, operand)) copies.widen(operand, use);
  });
  wide.on(queue);
  copies.store();
}

template <typename Op>
void run(Queue& queue, const Op& op) {
  op.check();
  switch (queue.device) {
    case Device::plan: queue.planned += op.cost(); return;
    case Device::cpu: return run_widened(queue.cpu, op);
    case Device::cuda: return op.on(queue.cuda);
  }
}

// The bytes of every operand that an op touches, each counted once.
template <typename Op>
double operand_bytes(const Op& op) {
  double bytes = 0;
  Op::operands(op, [&](const char*, const Tensor& tensor, Use use) {
    if (use != Use::scratch) bytes += double(tensor.bytes());
    if (use == Use::add && !tensor.fresh) bytes += double(tensor.bytes());
  });
  return bytes;
}

// How a kernel stores a gradient: assigned where the tensor is fresh, else added.
template <typename T>
constexpr void accumulate(T& target, T value, bool fresh) {
  target = fresh ? value : target + value;
}

}  // namespace metascale
