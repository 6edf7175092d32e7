// What the loops of attention work on: one head of one sequence, as plain pointers.
//
// No code here but what is always inlined: the files that are compiled for one instruction set
// include this header (as wkv7_scan.hpp).
#pragma once

#include <cstdint>

namespace metascale {

constexpr std::int64_t attention_keys = 256;    // keys of a block
constexpr std::int64_t attention_queries = 32;  // queries of a block of the backward

// Rows of N values, `stride` apart: one head of a (B, T, H, N) tensor.
template <typename T>
struct AttentionRows {
  T* data;
  std::int64_t stride;

  [[gnu::always_inline]] T* row(std::int64_t t) const { return data + t * stride; }
};

template <typename T>
struct AttentionGradient {
  AttentionRows<T> rows;
  bool fresh;  // assigned, not added to
};

template <typename T>
struct AttentionForwardHead {
  AttentionRows<T> y, q, k, v;
  T* lse;
  const std::int32_t* first;        // the first key that a query sees; nullptr: 0
  std::int64_t length, keys, size;  // T, S, N
  T scale;
};

template <typename T>
struct AttentionBackwardHead {
  AttentionGradient<T> dq, dk, dv;
  AttentionRows<T> dy, y, q, k, v;
  const T* lse;
  const std::int32_t* first;
  std::int64_t length, size;  // T = S, N
  T scale;
};

// room: attention_room(N) elements, best on a cache line's boundary; its content does not matter.
template <typename T>
struct AttentionLoops {
  void (*forward)(const AttentionForwardHead<T>& head, T* room);
  void (*backward)(const AttentionBackwardHead<T>& head, T* room);
};

// Of the blocks of keys and values, transposed or not, and of a block of queries and of dy; rows
// are padded to at most 32 values more.
constexpr std::int64_t attention_room(std::int64_t size) {
  return (3 * attention_keys + 2 * attention_queries) * (size + 32);
}

// To be called only on a processor that has these instructions.
const AttentionLoops<float>& attention_avx512();
const AttentionLoops<float>& attention_avx2();

}  // namespace metascale
