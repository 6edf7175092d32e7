// bf16 storage on the CPU, for every operator at once: the bodies compute in f32, so operands that
// are stored in bf16 are read through f32 copies, and what was written is rounded once, to nearest
// even, when it is stored. This is the meaning of bf16 storage; the CUDA bodies are tested against
// it.
#pragma once

#include <string_view>
#include <vector>

#include "kernels/memory.hpp"

namespace metascale {

enum class Use;

// An operator that reads some operands in bf16 by itself says which: static bool
// takes_bf16(std::string_view field).
template <typename Op>
bool widened(const char* field, const Tensor& operand) {
  if (!operand.exists() || operand.dtype != Dtype::bf16) return false;
  if constexpr (requires { Op::takes_bf16(field); }) return !Op::takes_bf16(field);
  return true;
}

// Memory for the copies, a queue's own. It only grows, so that a step repeated allocates nothing.
class WideMemory {
 public:
  // Behind the slots of an operator's copies: its body's own, where it takes bf16 by itself.
  static constexpr std::size_t body_slot = 32;

  std::byte* take(std::size_t slot, std::size_t bytes);

 private:
  std::vector<Buffer> slots_;
};

// f32 copies of one operator's bf16 operands.
class WideOperands {
 public:
  WideOperands(WideMemory& memory, int threads) : memory_(memory), threads_(threads) {}
  void widen(Tensor& operand, Use use);  // operand becomes its copy
  void store() const;                    // rounds what was written

 private:
  struct Pair {
    Tensor stored, wide;
    bool loaded, written;
  };
  WideMemory& memory_;
  std::vector<Pair> pairs_;
  int threads_;
};

}  // namespace metascale
