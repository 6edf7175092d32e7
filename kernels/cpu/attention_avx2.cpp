// Attention in AVX2: 8 lanes.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma")
#endif

#include "kernels/cpu/attention_tiles.hpp"

namespace metascale {

const AttentionLoops<float>& attention_avx2() { return attention_loops<float, 8>; }

}  // namespace metascale
