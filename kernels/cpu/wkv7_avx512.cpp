// WKV7 in AVX-512: 16 lanes.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
#endif

#include "kernels/cpu/wkv7_vector.hpp"

namespace metascale {

const WkvScan<float>* wkv7_avx512(std::int64_t size) { return vector_scan<16>(size); }

}  // namespace metascale
