// Vector scans of WKV7 in f32 for heads of N channels, N a multiple of the vector's lanes. Included
// by one file per instruction set; all is in an unnamed namespace, so that every file has its own
// copy.
#pragma once

#include "kernels/cpu/wkv7_vector_backward.hpp"
#include "kernels/cpu/wkv7_vector_forward.hpp"

namespace metascale {
namespace {

template <int Lanes, int N>
constexpr WkvScan<float> vector_scans = {
    ForwardScan<Lanes, N>::forward, ForwardScan<Lanes, N>::read_out,
    BackwardScan<Lanes, N>::query_backward, BackwardScan<Lanes, N>::backward};

template <int Lanes>
const WkvScan<float>* vector_scan(std::int64_t size) {
  switch (size) {
    case 16: return &vector_scans<Lanes, 16>;
    case 32: return &vector_scans<Lanes, 32>;
    case 64: return &vector_scans<Lanes, 64>;
    case 128: return &vector_scans<Lanes, 128>;
    default: return nullptr;
  }
}

}  // namespace
}  // namespace metascale
