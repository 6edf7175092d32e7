#include "kernels/self_state.hpp"

#include <algorithm>
#include <cmath>

#include "core/parallel.hpp"
#include "kernels/cpu/columns.hpp"
#include "kernels/cpu/dispatch.hpp"

namespace metascale {
namespace {

constexpr double query_epsilon = 1e-6;

// Pointers of all loops here are to different tensors: omp simd says so.

// q = c / sqrt(|c|^2 + 1e-6) of one head; returns the factor.
template <typename T>
METASCALE_MULTIVERSION T query(T* q, const T* c, std::int64_t N) {
  T squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t n = 0; n < N; ++n) squares += c[n] * c[n];
  const T inverse = 1 / std::sqrt(squares + T(query_epsilon));
#pragma omp simd
  for (std::int64_t n = 0; n < N; ++n) q[n] = c[n] * inverse;
  return inverse;
}

// dc += (dq - q <q, dq>) / sqrt(|c|^2 + 1e-6) of one head
template <typename T>
METASCALE_MULTIVERSION void query_backward(T* dc, const T* dq, const T* q, T inverse,
                                           std::int64_t N) {
  T along = 0;
#pragma omp simd reduction(+ : along)
  for (std::int64_t n = 0; n < N; ++n) along += q[n] * dq[n];
#pragma omp simd
  for (std::int64_t n = 0; n < N; ++n) dc[n] += (dq[n] - q[n] * along) * inverse;
}

// z += gamma e of one head
template <typename T>
METASCALE_MULTIVERSION void add_product(T* z, const T* gamma, const T* e, std::int64_t N) {
#pragma omp simd
  for (std::int64_t n = 0; n < N; ++n) z[n] += gamma[n] * e[n];
}

// de += gamma dz of one head, or = where de is fresh
template <typename T>
METASCALE_MULTIVERSION void store_product(T* de, const T* gamma, const T* dz, std::int64_t N,
                                          bool fresh) {
  if (fresh) std::fill_n(de, N, T(0));
  add_product(de, gamma, dz, N);
}

// partial[0] += dz[beta(h)] e^h; columns are those of gamma, read as one row of H_s N
template <typename T>
METASCALE_MULTIVERSION void gamma_columns(T (*partial)[column_block], Range rows, Range columns,
                                          const View<const T, 3>& dz, const View<const T, 3>& e) {
  const auto [R, blocks, N] = dz.extents;
  const std::int64_t heads = e.extents[1];
  for (std::int64_t r = rows.first; r < rows.last; ++r)
    for (std::int64_t column = columns.first; column < columns.last;) {
      const std::int64_t h = column / N, end = std::min(columns.last, (h + 1) * N);
      const T* above = dz.data + (r * blocks + h % blocks) * N;
      const T* read = e.data + (r * heads + h) * N;
      T* sums = partial[0] + column - columns.first;
      const std::int64_t first = column - h * N, count = end - column;
#pragma omp simd
      for (std::int64_t i = 0; i < count; ++i) sums[i] += above[first + i] * read[first + i];
      column = end;
    }
}

// The D channels as D / N blocks of N.
template <typename T>
View<T, 3> blocks_of(const Tensor& channels, std::int64_t N) {
  const View<T, 2> flat = channels.as<T, 2>();
  return {flat.data, {flat.extents[0], flat.extents[1] / N, N}};
}

}  // namespace

void SelfStateQueryForward::on(CpuQueue& queue) const {
  with_float_type(c.dtype, [&]<typename T>() {
    const View<T, 3> to = q.as<T, 3>(), from = blocks_of<T>(c, to.extents[2]);
    const auto [R, heads, N] = to.extents;
    T* inverse = inverse_norm.pointer<T>();
    parallel_for(queue.threads, R, [&, heads = heads, N = N](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r)
        for (std::int64_t h = 0; h < heads; ++h)
          inverse[r * heads + h] = query(&to(r, h, 0), &from(r, h % from.extents[1], 0), N);
    });
  });
}

void SelfStateQueryBackward::on(CpuQueue& queue) const {
  with_float_type(dc.dtype, [&]<typename T>() {
    const View<T, 3> above = dq.as<T, 3>(), unit = q.as<T, 3>();
    const View<T, 3> to = blocks_of<T>(dc, unit.extents[2]);
    const auto [R, heads, N] = unit.extents;
    const T* inverse = inverse_norm.pointer<T>();
    parallel_for(queue.threads, R, [&, heads = heads, N = N](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        if (dc.fresh) std::fill_n(&to(r, 0, 0), to.extents[1] * N, T(0));
        for (std::int64_t h = 0; h < heads; ++h)
          query_backward(&to(r, h % to.extents[1], 0), &above(r, h, 0), &unit(r, h, 0),
                         inverse[r * heads + h], N);
      }
    });
  });
}

void SelfStateMixForward::on(CpuQueue& queue) const {
  with_float_type(c.dtype, [&]<typename T>() {
    const View<T, 2> factor = gamma.as<T, 2>();
    const View<T, 3> read = e.as<T, 3>(), to = blocks_of<T>(z, factor.extents[1]);
    const auto [heads, N] = factor.extents;
    const T* from = c.pointer<T>();
    parallel_for(queue.threads, to.extents[0],
                 [&, heads = heads, N = N](std::int64_t begin, std::int64_t end) {
                   const std::int64_t blocks = to.extents[1], D = blocks * N;
                   for (std::int64_t r = begin; r < end; ++r) {
                     std::copy_n(from + r * D, D, &to(r, 0, 0));
                     for (std::int64_t h = 0; h < heads; ++h)
                       add_product(&to(r, h % blocks, 0), &factor(h, 0), &read(r, h, 0), N);
                   }
                 });
  });
}

void SelfStateMixBackward::on(CpuQueue& queue) const {
  with_float_type(dz.dtype, [&]<typename T>() {
    const View<T, 2> factor = gamma.as<T, 2>();
    const auto [used, N] = factor.extents;
    const View<T, 3> above = blocks_of<T>(dz, N), to_e = de.as<T, 3>(), read = e.as<T, 3>();
    T* to_c = dc.pointer<T>();
    parallel_for(queue.threads, above.extents[0],
                 [&, used = used, N = N](std::int64_t begin, std::int64_t end) {
                   const std::int64_t blocks = above.extents[1], D = blocks * N;
                   for (std::int64_t i = begin * D; i < end * D; ++i)
                     accumulate(to_c[i], above.data[i], dc.fresh);
                   for (std::int64_t r = begin; r < end; ++r) {
                     for (std::int64_t h = 0; h < used; ++h)
                       store_product(&to_e(r, h, 0), &factor(h, 0), &above(r, h % blocks, 0), N,
                                     de.fresh);
                     if (de.fresh && used < to_e.extents[1])
                       std::fill_n(&to_e(r, used, 0), (to_e.extents[1] - used) * N, T(0));
                   }
                 });
    const View<const T, 3> const_above{above.data, above.extents}, const_e{read.data, read.extents};
    sum_columns<1, T>(queue.threads, above.extents[0], used * N, {dgamma.pointer<T>()},
                      {dgamma.fresh}, [&](auto partial, Range rows, Range columns) {
                        gamma_columns<T>(partial, rows, columns, const_above, const_e);
                      });
  });
}

}  // namespace metascale
