// Attention in AVX-512: 16 lanes.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
#endif

#include "kernels/cpu/attention_tiles.hpp"

namespace metascale {

const AttentionLoops<float>& attention_avx512() { return attention_loops<float, 16>; }

}  // namespace metascale
