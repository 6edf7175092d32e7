// The operands of the WKV7 kernels, of the scan and of the chunked form. S: how vectors are stored,
// T: states.
#pragma once

#include "kernels/cuda/wkv7_chunk.cuh"
#include "kernels/wkv7.hpp"

namespace metascale::cuda {

template <typename S, typename T>
struct ForwardOperands {
  cuda::WkvExtent extent;
  const S *r, *d, *k, *v, *a, *b;
  const T* initial_state;  // nullptr: zero
  S* y;
  S* u;  // these three: nullptr where not wanted
  T *checkpoints, *final_state;
};

template <typename S, typename T>
ForwardOperands<S, T> operands_of(const Wkv7Forward& op) {
  return {wkv_extent(op.r),
          op.r.pointer<S>(),
          op.d.pointer<S>(),
          op.k.pointer<S>(),
          op.v.pointer<S>(),
          op.a.pointer<S>(),
          op.b.pointer<S>(),
          op.initial_state.pointer<T>(),
          op.y.pointer<S>(),
          op.u.pointer<S>(),
          op.checkpoints.pointer<T>(),
          op.final_state.pointer<T>()};
}

// A chunk of a head with a second read-out. Queries (B, T, H_s, N) are q or de, results e or dq.
template <typename S, typename T>
struct ChunkOperands {
  WkvExtent extent, query_extent;
  const S *d, *k, *v, *b, *u, *query;
  const T* checkpoints;
  S* result;
  bool fresh, current;
};

// Op: Wkv7ReadOut or Wkv7QueryBackward.
template <typename S, typename T, typename Op>
ChunkOperands<S, T> operands_of(const Op& op, const Tensor& query, const Tensor& result) {
  return {wkv_extent(op.d),
          wkv_extent(query),
          op.d.template pointer<S>(),
          op.k.template pointer<S>(),
          op.v.template pointer<S>(),
          op.b.template pointer<S>(),
          op.u.template pointer<S>(),
          query.pointer<S>(),
          op.checkpoints.template pointer<T>(),
          result.pointer<S>(),
          result.fresh,
          op.read == WkvRead::current};
}

template <typename S, typename T>
struct BackwardOperands {
  WkvExtent extent, query_extent;
  const S *r, *d, *k, *v, *a, *b, *u, *dy, *q, *de;  // q, de: nullptr without a second read-out
  const T *checkpoints, *dfinal_state;               // dfinal_state: nullptr: zero
  S *dr, *dd, *dk, *dv, *da, *db;
  T* dinitial_state;  // nullptr: not wanted
  bool fresh_r, fresh_d, fresh_k, fresh_v, fresh_a, fresh_b, fresh_initial, current;
};

template <typename S, typename T>
BackwardOperands<S, T> operands_of(const Wkv7Backward& op) {
  return {wkv_extent(op.d),
          op.q.exists() ? wkv_extent(op.q) : WkvExtent{},
          op.r.pointer<S>(),
          op.d.pointer<S>(),
          op.k.pointer<S>(),
          op.v.pointer<S>(),
          op.a.pointer<S>(),
          op.b.pointer<S>(),
          op.u.pointer<S>(),
          op.dy.pointer<S>(),
          op.q.pointer<S>(),
          op.de.pointer<S>(),
          op.checkpoints.pointer<T>(),
          op.dfinal_state.pointer<T>(),
          op.dr.pointer<S>(),
          op.dd.pointer<S>(),
          op.dk.pointer<S>(),
          op.dv.pointer<S>(),
          op.da.pointer<S>(),
          op.db.pointer<S>(),
          op.dinitial_state.pointer<T>(),
          op.dr.fresh,
          op.dd.fresh,
          op.dk.fresh,
          op.dv.fresh,
          op.da.fresh,
          op.db.fresh,
          op.dinitial_state.fresh,
          op.read == WkvRead::current};
}

}  // namespace metascale::cuda
