// WKV7 in AVX2 with FMA: 8 lanes.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma")
#endif

#include "kernels/cpu/wkv7_vector.hpp"

namespace metascale {

const WkvScan<float>* wkv7_avx2(std::int64_t size) { return vector_scan<8>(size); }

}  // namespace metascale
