#include "kernels/instructions.hpp"

#include <oneapi/dnnl/dnnl.h>

#include "core/error.hpp"

namespace metascale {
namespace {

const char* level_of_scans() {
  if (processor_has(Simd::avx512)) return "avx512";
  return processor_has(Simd::avx2) ? "avx2" : "scalar";
}

const char* level_of_products() {
  switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41: return "sse41";
    case dnnl_cpu_isa_avx: return "avx";
    case dnnl_cpu_isa_avx2: return "avx2";
    case dnnl_cpu_isa_avx2_vnni: return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core: return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni: return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16: return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx: return "avx512_core_amx";
    default: return "other";
  }
}

}  // namespace

bool processor_has(Simd level) {
#if defined(__x86_64__)
  switch (level) {
    case Simd::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    case Simd::avx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case Simd::best:
    case Simd::scalar: return true;
  }
#endif
  return level == Simd::best || level == Simd::scalar;
}

Simd chosen_simd(Simd wanted) {
  const bool avx512 = processor_has(Simd::avx512), avx2 = processor_has(Simd::avx2);
  switch (wanted) {
    case Simd::best: return avx512 ? Simd::avx512 : avx2 ? Simd::avx2 : Simd::scalar;
    case Simd::avx512:
      if (avx512) return wanted;
      break;
    case Simd::avx2:
      if (avx2) return wanted;
      break;
    case Simd::scalar: return wanted;
  }
  throw Error(concat("CpuQueue.simd asks for ", wanted == Simd::avx512 ? "AVX-512" : "AVX2 and FMA",
                     ", which this processor does not have: take Simd::best"),
              ExitCode::unavailable);
}

bool multiplies_bf16() {
#if defined(__x86_64__)
  static const bool does = [] {
    const int isa = dnnl_get_effective_cpu_isa();  // a level has the bits of those that it includes
    const auto has = [&](int level) { return (isa & level) == level; };
    return has(dnnl_cpu_isa_avx512_core_amx) ||
           (has(dnnl_cpu_isa_avx512_core_bf16) && !__builtin_cpu_is("intel"));
  }();
  return does;
#else
  return false;
#endif
}

std::string cpu_instructions() {
  return concat(level_of_scans(), ", oneDNN ", level_of_products(),
                multiplies_bf16() ? "" : ", bf16 in f32");
}

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return concat(version->major, ".", version->minor, ".", version->patch);
}

}  // namespace metascale
