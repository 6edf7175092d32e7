// What a scan of the WKV7 recurrence works on: one head, or one chunk of one head, as plain
// pointers. The truth in wkv7.cpp and the vector scans of wkv7_vector.hpp do the same on the same
// structs.
//
// Row i of the state never meets another row, except in the sums over i of the backward.
// Checkpoints are states (N, N) as the operands have them: row i = value channel.
//
// No code here: the files that are compiled for one instruction set include this header, and an
// inline function of theirs must not be the one that the linker keeps for everybody.
#pragma once

#include <cstdint>

namespace metascale {

struct WkvExtent {
  std::int64_t tokens;  // of the head; of a chunk: at most 16
  std::int64_t size;    // N
  std::int64_t stride;  // elements from a token to the next: H N
};

template <typename T>
struct WkvGradient {
  T* data;     // nullptr: not wanted
  bool fresh;  // assigned, not added to
};

template <typename T>
struct WkvForwardHead {
  WkvExtent extent;
  const T *r, *d, *k, *v, *a, *b;
  const T* initial_state;  // nullptr: zero
  T* y;
  T *u, *checkpoints, *final_state;  // nullptr: not wanted
};

// A chunk of a head that has a second read-out. result is e (read-out) or dq (its backward by the
// query).
template <typename T>
struct WkvChunk {
  WkvExtent extent;
  std::int64_t query_stride;  // H_s N
  const T *d, *k, *v, *b, *u;
  const T* checkpoint;  // the state before the first token
  const T* query;       // q, or de for the backward
  WkvGradient<T> result;
  bool current;  // reads the state after the token's update, not before
};

template <typename T>
struct WkvBackwardHead {
  WkvExtent extent;
  std::int64_t query_stride;  // H_s N
  const T *r, *d, *k, *v, *a, *b, *u, *checkpoints, *dy;
  const T *q, *de;        // nullptr: this head has no second read-out
  const T* dfinal_state;  // nullptr: zero
  WkvGradient<T> dr, dd, dk, dv, da, db, dinitial_state;
  bool current;
};

template <typename T>
struct WkvScan {
  void (*forward)(const WkvForwardHead<T>&);
  void (*read_out)(const WkvChunk<T>&);
  void (*query_backward)(const WkvChunk<T>&);
  void (*backward)(const WkvBackwardHead<T>&);
};

// Scans for heads of `size` channels in f32; nullptr where there is none for this size. To be
// called only on a processor that has these instructions.
const WkvScan<float>* wkv7_avx512(std::int64_t size);
const WkvScan<float>* wkv7_avx2(std::int64_t size);

}  // namespace metascale
