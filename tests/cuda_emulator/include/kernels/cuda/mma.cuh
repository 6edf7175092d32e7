// The words of the file of this name in the product, emulated [../../../ptx.cpp].
#pragma once

#include <cuda_runtime.h>

#include <cmath>

#include "kernels/cuda/fragments.cuh"

namespace cuda_emulator {

void multiply_add(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], Where where);
void load_matrices(unsigned (&x)[4], const void* row, bool transposed, Where where);
void copy_async(void* shared, const void* global, int bytes, Where where);
void commit_copies();
void wait_for_copies(std::size_t pending);

}  // namespace cuda_emulator

namespace metascale::cuda {

inline void multiply_add(FragmentC& c, const FragmentA& a, const FragmentB& b,
                         const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  cuda_emulator::multiply_add(c.x, a.x, b.x, {file, line});
}

inline void load_matrices(unsigned (&x)[4], const void* row, const char* file = __builtin_FILE(),
                          int line = __builtin_LINE()) {
  cuda_emulator::load_matrices(x, row, false, {file, line});
}
inline void load_transposed_matrices(unsigned (&x)[4], const void* row,
                                     const char* file = __builtin_FILE(),
                                     int line = __builtin_LINE()) {
  cuda_emulator::load_matrices(x, row, true, {file, line});
}

inline void copy_async(void* shared, const void* global, int bytes,
                       const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  cuda_emulator::copy_async(shared, global, bytes, {file, line});
}
inline void commit_copies() { cuda_emulator::commit_copies(); }
template <int pending>
void wait_for_copies() {
  cuda_emulator::wait_for_copies(pending);
}

inline float power_of_two(float x) { return std::exp2(x); }
inline float reciprocal(float x) { return 1 / x; }

// Touched, so that AddressSanitizer sees a place that is nobody's.
inline void prefetch(const void* global) { (void)*static_cast<const volatile char*>(global); }

}  // namespace metascale::cuda
