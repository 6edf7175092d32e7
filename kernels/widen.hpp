// bf16 storage on the CPU, for every operator at once: the bodies compute in f32, so operands that
// are stored in bf16 are read through f32 copies, and what was written is rounded once, to nearest
// even, when it is stored. This is the meaning of bf16 storage; the CUDA bodies are tested against
// it.
#pragma once

#include <string_view>
#include <vector>

#include "kernels/kept_memory.hpp"

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

// f32 copies of one operator's bf16 operands.
class WideOperands {
 public:
  WideOperands(KeptMemory& memory, int threads) : memory_(memory), threads_(threads) {}
  void widen(Tensor& operand, Use use);  // operand becomes its copy
  void store() const;                    // rounds what was written

 private:
  struct Pair {
    Tensor stored, wide;
    bool loaded, written;
  };
  KeptMemory& memory_;
  std::vector<Pair> pairs_;
  int threads_;
};

}  // namespace metascale
