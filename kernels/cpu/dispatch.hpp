// METASCALE_MULTIVERSION before a function compiles its loops for AVX-512, AVX2 with FMA and the
// baseline; the loader picks one, so that one binary is fast on every x86-64 machine. Versions may
// differ in the last bit (fused multiply-adds); on one machine it is always the same version.
//
// Give it only to functions with internal linkage that hold the loop themselves: what they call
// must be inlined to profit, and OpenMP regions are outlined without it. clang 14 does not know it
// for templates, and sanitizers cannot run the loader's choice: both get the baseline.
#pragma once

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define METASCALE_MULTIVERSION \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define METASCALE_MULTIVERSION
#endif
