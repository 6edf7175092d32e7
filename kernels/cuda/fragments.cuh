// What a warp holds of the matrices of one tensor-core product C (16, 8) += A (16, 16) B (16, 8):
// the layouts of mma.m16n8k16 [PTX ISA]. Lane 4 g + q, g = 0..7, q = 0..3:
//   FragmentA::x[i]: row g + 8 (i % 2), columns 2 q + 8 (i / 2) and the next
//   FragmentB::x[i]: rows 2 q + 8 i and the next, column g
//   FragmentC::x[i]: row g + 8 (i / 2), column 2 q + i % 2
#pragma once

namespace metascale::cuda {

struct FragmentA {
  unsigned x[4];  // two bf16 each, the first in the lower half
};
struct FragmentB {
  unsigned x[2];
};
struct alignas(16) FragmentC {
  float x[4];
};

}  // namespace metascale::cuda
