// The words of PTX that CUDA C++ has no name for (sm_80 and later): products on tensor cores, loads
// of their operands, copies that run beside the program, special functions, hints. The emulator has
// a file of this name.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/fragments.cuh"

namespace metascale::cuda {

__device__ inline unsigned shared_address(const void* place) {
  return unsigned(__cvta_generic_to_shared(place));
}

// c += a b
__device__ inline void multiply_add(FragmentC& c, const FragmentA& a, const FragmentB& b) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c.x[0]), "+f"(c.x[1]), "+f"(c.x[2]), "+f"(c.x[3])
      : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b.x[0]), "r"(b.x[1]));
}

// Four 8 x 8 matrices of 16 bits in shared memory. Lane 8 m + i gives the place of row i of matrix
// m, on 16 bytes; x[m] of lane 4 g + q is row g, columns 2 q and 2 q + 1 of matrix m.
__device__ inline void load_matrices(unsigned (&x)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
               : "r"(shared_address(row))
               : "memory");
}
// The same of the transposed matrices: rows 2 q and 2 q + 1, column g.
__device__ inline void load_transposed_matrices(unsigned (&x)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
               : "r"(shared_address(row))
               : "memory");
}

// 16 bytes to shared memory, both on 16 bytes: the first `bytes` from global memory, then zeros.
// They are there after wait_for_copies, for other threads after a barrier behind it.
__device__ inline void copy_async(void* shared, const void* global, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(shared_address(shared)), "l"(global), "r"(bytes)
               : "memory");
}
// Ends a group of copies of this thread.
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" : : : "memory"); }
// Until at most the `pending` latest groups of this thread are under way.
template <int pending>
__device__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" : : "n"(pending) : "memory");
}

// 2^x and 1 / x by the units for special functions: relative errors of at most 2^-22 and 2^-23.
__device__ inline float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Asks for the line of global memory that holds this place to be in L2 when it is read later.
__device__ inline void prefetch(const void* global) {
  asm volatile("prefetch.global.L2 [%0];" : : "l"(global));
}

}  // namespace metascale::cuda
