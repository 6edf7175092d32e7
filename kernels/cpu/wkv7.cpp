// WKV7 on the CPU: the readable truth for every dtype and head size, and the choice between it and
// the vector scans. A thread works on whole heads (forward, backward) or whole chunks (the second
// read-out).
#include "kernels/wkv7.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.hpp"
#include "kernels/cpu/wkv7_scan.hpp"
#include "kernels/instructions.hpp"

namespace metascale {

namespace {

constexpr std::int64_t chunk = wkv7_checkpoint;
constexpr std::int64_t max_head = wkv7_max_head;
constexpr double decay_rate = 0.6065306597126334;  // e^{-1/2}

// One token's vectors of a chunk.
template <typename T>
using ChunkRows = T[chunk][max_head];

template <typename T>
T logistic(T x) {
  return 1 / (1 + std::exp(-x));
}

// w = exp(-e^{-1/2} sigma(d)) of the tokens [first, first + count), 0 for d = infinity, and where
// wanted dw/dd.
template <typename T>
void decays(const T* d, const WkvExtent& extent, std::int64_t first, std::int64_t count,
            ChunkRows<T>& w, ChunkRows<T>* slope = nullptr) {
  for (std::int64_t t = 0; t < count; ++t)
    for (std::int64_t j = 0; j < extent.size; ++j) {
      const T logit = d[(first + t) * extent.stride + j], sigma = logistic(logit);
      w[t][j] = logit == std::numeric_limits<T>::infinity() ? 0 : std::exp(-T(decay_rate) * sigma);
      if (slope) (*slope)[t][j] = -T(decay_rate) * sigma * logistic(-logit) * w[t][j];
    }
}

template <typename T>
T dot(const T* x, const T* y, std::int64_t size) {
  T sum = 0;
  for (std::int64_t j = 0; j < size; ++j) sum += x[j] * y[j];
  return sum;
}

// One row of the state over one token:  s = s w + u b + v k
template <typename T>
void update(T* after, const T* before, const T* w, T u, const T* b, T v, const T* k,
            std::int64_t size) {
  for (std::int64_t j = 0; j < size; ++j) after[j] = before[j] * w[j] + u * b[j] + v * k[j];
}

template <typename T>
void forward_truth(const WkvForwardHead<T>& head) {
  const auto [tokens, size, stride] = head.extent;
  T state[max_head * max_head], w[chunk][max_head];
  for (std::int64_t e = 0; e < size * size; ++e)
    state[e] = head.initial_state ? head.initial_state[e] : 0;
  for (std::int64_t first = 0; first < tokens; first += chunk) {
    const std::int64_t count = std::min(chunk, tokens - first);
    if (head.checkpoints)
      std::copy_n(state, size * size, head.checkpoints + first / chunk * size * size);
    decays(head.d, head.extent, first, count, w);
    for (std::int64_t i = 0; i < size; ++i)
      for (std::int64_t t = 0; t < count; ++t) {
        const std::int64_t at = (first + t) * stride;
        T* s = state + i * size;
        const T u = dot(s, head.a + at, size);
        update(s, s, w[t], u, head.b + at, head.v[at + i], head.k + at, size);
        head.y[at + i] = dot(s, head.r + at, size);
        if (head.u) head.u[at + i] = u;
      }
  }
  if (head.final_state) std::copy_n(state, size * size, head.final_state);
}

// Calls visit(t, i, s) with row i of the state that token t's query meets.
template <typename T, typename Visit>
void rebuild_rows(const WkvChunk<T>& part, Visit&& visit) {
  const auto [tokens, size, stride] = part.extent;
  T w[chunk][max_head], s[max_head];
  decays(part.d, part.extent, 0, tokens, w);
  for (std::int64_t i = 0; i < size; ++i) {
    std::copy_n(part.checkpoint + i * size, size, s);
    for (std::int64_t t = 0; t < tokens; ++t) {
      const std::int64_t at = t * stride;
      if (!part.current) visit(t, i, s);
      update(s, s, w[t], part.u[at + i], part.b + at, part.v[at + i], part.k + at, size);
      if (part.current) visit(t, i, s);
    }
  }
}

template <typename T>
void read_out_truth(const WkvChunk<T>& part) {
  rebuild_rows(part, [&](std::int64_t t, std::int64_t i, const T* s) {
    const std::int64_t at = t * part.query_stride;
    part.result.data[at + i] = dot(s, part.query + at, part.extent.size);
  });
}

template <typename T>
void query_backward_truth(const WkvChunk<T>& part) {
  T dq[chunk][max_head] = {};
  rebuild_rows(part, [&](std::int64_t t, std::int64_t i, const T* s) {
    const T de = part.query[t * part.query_stride + i];
    for (std::int64_t j = 0; j < part.extent.size; ++j) dq[t][j] += s[j] * de;
  });
  for (std::int64_t t = 0; t < part.extent.tokens; ++t)
    for (std::int64_t j = 0; j < part.extent.size; ++j)
      accumulate(part.result.data[t * part.query_stride + j], dq[t][j], part.result.fresh);
}

// Sums over the rows of the state, for the tokens of one chunk.
template <typename T>
struct RowSums {
  T dr[chunk][max_head] = {};
  T dw[chunk][max_head] = {};
  T dk[chunk][max_head] = {};
  T da[chunk][max_head] = {};
  T db[chunk][max_head] = {};
};

// Row i of one chunk from its last token to its first. g is that row of G, states[t] the row of the
// state before token t of the chunk.
template <typename T>
void backward_row(const WkvBackwardHead<T>& head, std::int64_t first, std::int64_t count,
                  std::int64_t i, const ChunkRows<T>& w, const T (*states)[max_head], T* g,
                  RowSums<T>& sums) {
  const auto [tokens, size, stride] = head.extent;
  for (std::int64_t t = count - 1; t >= 0; --t) {
    const std::int64_t at = (first + t) * stride, query_at = (first + t) * head.query_stride;
    const T *before = states[t], *after = states[t + 1], *k = head.k + at, *b = head.b + at;
    const T dy = head.dy[at + i], v = head.v[at + i], u = head.u[at + i];
    const T de = head.q ? head.de[query_at + i] : 0;
    for (std::int64_t j = 0; j < size; ++j) {
      g[j] += dy * head.r[at + j];
      if (head.q && head.current) g[j] += de * head.q[query_at + j];
    }
    const T du = dot(g, b, size);
    accumulate(head.dv.data[at + i], dot(g, k, size), head.dv.fresh);
    for (std::int64_t j = 0; j < size; ++j) {
      sums.dr[t][j] += after[j] * dy;
      sums.dk[t][j] += g[j] * v;
      sums.db[t][j] += g[j] * u;
      sums.da[t][j] += before[j] * du;
      sums.dw[t][j] += before[j] * g[j];
      g[j] = g[j] * w[t][j] + du * head.a[at + j];
      if (head.q && !head.current) g[j] += de * head.q[query_at + j];
    }
  }
}

template <typename T>
void store_sums(const WkvBackwardHead<T>& head, std::int64_t first, std::int64_t count,
                const ChunkRows<T>& slope, const RowSums<T>& sums) {
  for (std::int64_t t = 0; t < count; ++t)
    for (std::int64_t j = 0; j < head.extent.size; ++j) {
      const std::int64_t at = (first + t) * head.extent.stride + j;
      accumulate(head.dr.data[at], sums.dr[t][j], head.dr.fresh);
      accumulate(head.dd.data[at], sums.dw[t][j] * slope[t][j], head.dd.fresh);
      accumulate(head.dk.data[at], sums.dk[t][j], head.dk.fresh);
      accumulate(head.da.data[at], sums.da[t][j], head.da.fresh);
      accumulate(head.db.data[at], sums.db[t][j], head.db.fresh);
    }
}

template <typename T>
void backward_truth(const WkvBackwardHead<T>& head) {
  const auto [tokens, size, stride] = head.extent;
  T gradient[max_head * max_head], states[chunk + 1][max_head], w[chunk][max_head],
      slope[chunk][max_head];
  for (std::int64_t e = 0; e < size * size; ++e)
    gradient[e] = head.dfinal_state ? head.dfinal_state[e] : 0;
  for (std::int64_t first = (tokens - 1) / chunk * chunk; first >= 0; first -= chunk) {
    const std::int64_t count = std::min(chunk, tokens - first);
    const T* checkpoint = head.checkpoints + first / chunk * size * size;
    decays(head.d, head.extent, first, count, w, &slope);
    RowSums<T> sums;
    for (std::int64_t i = 0; i < size; ++i) {
      std::copy_n(checkpoint + i * size, size, states[0]);
      for (std::int64_t t = 0; t < count; ++t) {
        const std::int64_t at = (first + t) * stride;
        update(states[t + 1], states[t], w[t], head.u[at + i], head.b + at, head.v[at + i],
               head.k + at, size);
      }
      backward_row(head, first, count, i, w, states, gradient + i * size, sums);
    }
    store_sums(head, first, count, slope, sums);
  }
  if (head.dinitial_state.data)
    for (std::int64_t e = 0; e < size * size; ++e)
      accumulate(head.dinitial_state.data[e], gradient[e], head.dinitial_state.fresh);
}

template <typename T>
constexpr WkvScan<T> truth = {forward_truth<T>, read_out_truth<T>, query_backward_truth<T>,
                              backward_truth<T>};

template <typename T>
const WkvScan<T>& scan_for(const CpuQueue& queue, std::int64_t size) {
  if constexpr (std::is_same_v<T, float>) {
    const Simd level = chosen_simd(queue.simd);
    const WkvScan<float>* scan = nullptr;
    if (level == Simd::avx512) scan = wkv7_avx512(size);
    if (level == Simd::avx2) scan = wkv7_avx2(size);
    if (scan) return *scan;
  }
  return truth<T>;
}

template <typename T>
T* offset(T* pointer, std::int64_t elements) {
  return pointer ? pointer + elements : nullptr;
}

template <typename T>
WkvGradient<T> gradient(const Tensor& tensor, std::int64_t elements) {
  return {offset(tensor.pointer<T>(), elements), tensor.fresh};
}

// Offsets of one head in tensors of (B, T, H, N) and (B, H, N, N).
struct HeadOffset {
  std::int64_t vectors, state;
};
HeadOffset head_offset(const Shape& shape, std::int64_t batch, std::int64_t head) {
  const std::int64_t tokens = shape[1], heads = shape[2], size = shape[3];
  return {(batch * tokens * heads + head) * size, (batch * heads + head) * size * size};
}

std::int64_t chunks_of(const Shape& shape) { return (shape[1] + chunk - 1) / chunk; }

WkvExtent extent_of(const Shape& shape) { return {shape[1], shape[3], shape[2] * shape[3]}; }

template <typename T>
WkvForwardHead<T> head_of(const Wkv7Forward& op, std::int64_t batch, std::int64_t head) {
  const auto [at, state] = head_offset(op.r.shape, batch, head);
  return {extent_of(op.r.shape),
          op.r.pointer<T>() + at,
          op.d.pointer<T>() + at,
          op.k.pointer<T>() + at,
          op.v.pointer<T>() + at,
          op.a.pointer<T>() + at,
          op.b.pointer<T>() + at,
          offset(op.initial_state.pointer<T>(), state),
          op.y.pointer<T>() + at,
          offset(op.u.pointer<T>(), at),
          offset(op.checkpoints.pointer<T>(), state * chunks_of(op.r.shape)),
          offset(op.final_state.pointer<T>(), state)};
}

template <typename T>
WkvBackwardHead<T> head_of(const Wkv7Backward& op, std::int64_t batch, std::int64_t head) {
  const auto [at, state] = head_offset(op.d.shape, batch, head);
  const bool reads = op.q.exists() && head < op.q.shape[2];
  const std::int64_t query_at = reads ? head_offset(op.q.shape, batch, head).vectors : 0;
  return {extent_of(op.d.shape),
          reads ? op.q.shape[2] * op.q.shape[3] : 0,
          op.r.pointer<T>() + at,
          op.d.pointer<T>() + at,
          op.k.pointer<T>() + at,
          op.v.pointer<T>() + at,
          op.a.pointer<T>() + at,
          op.b.pointer<T>() + at,
          op.u.pointer<T>() + at,
          op.checkpoints.pointer<T>() + state * chunks_of(op.d.shape),
          op.dy.pointer<T>() + at,
          reads ? op.q.pointer<T>() + query_at : nullptr,
          reads ? op.de.pointer<T>() + query_at : nullptr,
          offset(op.dfinal_state.pointer<T>(), state),
          gradient<T>(op.dr, at),
          gradient<T>(op.dd, at),
          gradient<T>(op.dk, at),
          gradient<T>(op.dv, at),
          gradient<T>(op.da, at),
          gradient<T>(op.db, at),
          gradient<T>(op.dinitial_state, state),
          op.read == WkvRead::current};
}

// Op: Wkv7ReadOut or Wkv7QueryBackward, whose query and result are told apart by the caller.
template <typename T, typename Op>
WkvChunk<T> chunk_of(const Op& op, const Tensor& query, const Tensor& result, std::int64_t batch,
                     std::int64_t head, std::int64_t index) {
  WkvExtent extent = extent_of(op.d.shape);
  const std::int64_t first = index * chunk, query_stride = query.shape[2] * query.shape[3];
  const auto [head_at, state] = head_offset(op.d.shape, batch, head);
  const std::int64_t at = head_at + first * extent.stride;
  const std::int64_t query_at =
      head_offset(query.shape, batch, head).vectors + first * query_stride;
  extent.tokens = std::min(chunk, extent.tokens - first);
  return {extent,
          query_stride,
          op.d.template pointer<T>() + at,
          op.k.template pointer<T>() + at,
          op.v.template pointer<T>() + at,
          op.b.template pointer<T>() + at,
          op.u.template pointer<T>() + at,
          op.checkpoints.template pointer<T>() + state * chunks_of(op.d.shape) +
              index * extent.size * extent.size,
          query.pointer<T>() + query_at,
          gradient<T>(result, query_at),
          op.read == WkvRead::current};
}

template <typename T, typename Op, typename Scan>
void for_heads(const CpuQueue& queue, const Op& op, const Shape& shape, Scan scan) {
  const std::int64_t heads = shape[2];
  parallel_for(queue.threads, shape[0] * heads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t index = begin; index < end; ++index)
      scan(head_of<T>(op, index / heads, index % heads));
  });
}

template <typename T, typename Op, typename Scan>
void for_chunks(const CpuQueue& queue, const Op& op, const Tensor& query, const Tensor& result,
                Scan scan) {
  const std::int64_t heads = query.shape[2], chunks = chunks_of(query.shape);
  const std::int64_t count = query.shape[0] * heads * chunks;
  parallel_for(queue.threads, count, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t index = begin; index < end; ++index) {
      const std::int64_t head = index / chunks;
      scan(chunk_of<T>(op, query, result, head / heads, head % heads, index % chunks));
    }
  });
}

void expect_scan(bool chunked) {
  if (chunked)
    throw Error("the chunked form of WKV7 is one of the GPU kernels: take the scan",
                ExitCode::unavailable);
}

}  // namespace

void Wkv7Forward::on(CpuQueue& queue) const {
  expect_scan(chunked);
  with_float_type(r.dtype, [&]<typename T>() {
    for_heads<T>(queue, *this, r.shape, scan_for<T>(queue, r.shape[3]).forward);
  });
}

void Wkv7ReadOut::on(CpuQueue& queue) const {
  expect_scan(chunked);
  with_float_type(q.dtype, [&]<typename T>() {
    for_chunks<T>(queue, *this, q, e, scan_for<T>(queue, q.shape[3]).read_out);
  });
}

void Wkv7QueryBackward::on(CpuQueue& queue) const {
  expect_scan(chunked);
  with_float_type(de.dtype, [&]<typename T>() {
    for_chunks<T>(queue, *this, de, dq, scan_for<T>(queue, de.shape[3]).query_backward);
  });
}

void Wkv7Backward::on(CpuQueue& queue) const {
  expect_scan(chunked);
  with_float_type(d.dtype, [&]<typename T>() {
    for_heads<T>(queue, *this, d.shape, scan_for<T>(queue, d.shape[3]).backward);
  });
}

}  // namespace metascale
