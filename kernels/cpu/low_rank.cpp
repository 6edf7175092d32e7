#include "kernels/low_rank.hpp"

#include <algorithm>

#include "core/parallel.hpp"
#include "kernels/cpu/dispatch.hpp"
#include "kernels/cpu/sequences.hpp"
#include "kernels/cpu/vector_math.hpp"

namespace metascale {
namespace {

// A row of both halves, and where a map's columns begin in each.
struct Columns {
  std::int64_t own, next, width;
};

// Calls body(m, columns) for every map; half: R, the columns of one half.
template <typename Body>
void each_map(const PerMap& tensors, int maps, std::int64_t half, Body&& body) {
  std::int64_t own = 0;
  for (std::size_t m = 0; m < std::size_t(maps); ++m) {
    const Shape& shape = tensors[m].shape;
    const std::int64_t width = shape[shape.rank - 1];
    body(m, Columns{own, half + own, width});
    own += width;
  }
}

template <typename T>
METASCALE_MULTIVERSION void join_row(T* __restrict own, T* __restrict next,
                                     const T* __restrict weight, T mix, std::int64_t width) {
  for (std::int64_t i = 0; i < width; ++i) {
    own[i] = (1 - mix) * weight[i];
    next[i] = mix * weight[i];
  }
}

// a, b: a row of a map in the halves of djoined.
template <typename T>
METASCALE_MULTIVERSION void add_weight_gradients(T* __restrict dweight, const T* __restrict a,
                                                 const T* __restrict b, T mix, std::int64_t width,
                                                 bool fresh) {
  if (fresh) std::fill_n(dweight, width, T(0));
  for (std::int64_t i = 0; i < width; ++i) dweight[i] += (1 - mix) * a[i] + mix * b[i];
}

template <typename T>
T mix_gradient(const T* weight, const T* a, const T* b, std::int64_t width) {
  T sum = 0;
  for (std::int64_t i = 0; i < width; ++i) sum += weight[i] * (b[i] - a[i]);
  return sum;
}

template <HiddenKind kind, typename T>
[[gnu::always_inline]] inline T value(T x) {
  if constexpr (kind == HiddenKind::tanh) return vector_tanh(x);
  if constexpr (kind == HiddenKind::sigmoid) return vector_sigmoid(x);
  return x;
}

template <HiddenKind kind, typename T>
[[gnu::always_inline]] inline T slope(T y) {
  if constexpr (kind == HiddenKind::tanh) return 1 - y * y;
  if constexpr (kind == HiddenKind::sigmoid) return y * (1 - y);
  return 1;
}

// before: nullptr where it is zero.
template <HiddenKind kind, typename T>
METASCALE_MULTIVERSION void hidden_row(T* __restrict y, const T* __restrict own,
                                       const T* __restrict before, std::int64_t width) {
  if (before == nullptr)
    for (std::int64_t i = 0; i < width; ++i) y[i] = value<kind>(own[i]);
  else
    for (std::int64_t i = 0; i < width; ++i) y[i] = value<kind>(own[i] + before[i]);
}

template <HiddenKind kind, typename T>
METASCALE_MULTIVERSION void add_slopes(T* __restrict to, const T* __restrict dy,
                                       const T* __restrict y, std::int64_t width, bool fresh) {
  if (fresh) std::fill_n(to, width, T(0));
  for (std::int64_t i = 0; i < width; ++i) to[i] += dy[i] * slope<kind>(y[i]);
}

// Calls body.operator()<kind>().
template <typename Body>
void with_kind(HiddenKind kind, Body&& body) {
  switch (kind) {
    case HiddenKind::linear: return body.template operator()<HiddenKind::linear>();
    case HiddenKind::tanh: return body.template operator()<HiddenKind::tanh>();
    case HiddenKind::sigmoid: return body.template operator()<HiddenKind::sigmoid>();
  }
}

// The gradient g of row r of map m, added to `to`.
template <typename T>
void add_row(const SplitHiddenBackward& op, std::size_t m, std::int64_t r, T* to,
             std::int64_t width, bool fresh) {
  with_kind(op.kind[m], [&]<HiddenKind kind>() {
    add_slopes<kind>(to, op.dhidden[m].pointer<T>() + r * width,
                     op.hidden[m].pointer<T>() + r * width, width, fresh);
  });
}

// What the token before the first made of it: its second half alone.
template <typename T>
void add_to_previous(const SplitHiddenBackward& op, const Documents& documents) {
  const std::int64_t B = op.dprevious.shape[0], both = op.dprevious.shape[1];
  T* to = op.dprevious.pointer<T>();
  if (op.dprevious.fresh) std::fill_n(to, B * both, T(0));
  for (std::int64_t b = 0; b < B; ++b) {
    const std::int64_t r = b * documents.length;
    if (documents.starts(r)) continue;
    each_map(op.hidden, op.maps, both / 2, [&](std::size_t m, const Columns& at) {
      add_row(op, m, r, to + b * both + at.next, at.width, false);
    });
  }
}

}  // namespace

void JoinFactorsForward::on(CpuQueue& queue) const {
  with_float_type(joined.dtype, [&]<typename T>() {
    const auto [D, both] = joined.as<T, 2>().extents;
    parallel_for(queue.threads, D, [&, both = both](std::int64_t begin, std::int64_t end) {
      for (std::int64_t d = begin; d < end; ++d)
        each_map(weight, maps, both / 2, [&](std::size_t m, const Columns& at) {
          T* row = joined.pointer<T>() + d * both;
          join_row(row + at.own, row + at.next, weight[m].pointer<T>() + d * at.width,
                   mix[m].pointer<T>()[d], at.width);
        });
    });
  });
}

void JoinFactorsBackward::on(CpuQueue& queue) const {
  with_float_type(djoined.dtype, [&]<typename T>() {
    const auto [D, both] = djoined.as<T, 2>().extents;
    parallel_for(queue.threads, D, [&, both = both](std::int64_t begin, std::int64_t end) {
      for (std::int64_t d = begin; d < end; ++d)
        each_map(weight, maps, both / 2, [&](std::size_t m, const Columns& at) {
          const T *a = djoined.pointer<T>() + d * both + at.own, *b = a + both / 2;
          const std::int64_t first = d * at.width;
          add_weight_gradients(dweight[m].pointer<T>() + first, a, b, mix[m].pointer<T>()[d],
                               at.width, dweight[m].fresh);
          accumulate(dmix[m].pointer<T>()[d],
                     mix_gradient(weight[m].pointer<T>() + first, a, b, at.width), dmix[m].fresh);
        });
    });
  });
}

void SplitHiddenForward::on(CpuQueue& queue) const {
  with_float_type(product.dtype, [&]<typename T>() {
    const Sequences<T> of = sequences<T>(product, previous, first);
    const std::int64_t R = product.shape[0] * product.shape[1];
    parallel_for(queue.threads, R, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const T *own = of.x + r * of.D, *before = of.before(r);
        each_map(hidden, maps, of.D / 2, [&](std::size_t m, const Columns& at) {
          with_kind(kind[m], [&]<HiddenKind chosen>() {
            hidden_row<chosen>(hidden[m].pointer<T>() + r * at.width, own + at.own,
                               before ? before + at.next : nullptr, at.width);
          });
        });
      }
    });
  });
}

void SplitHiddenBackward::on(CpuQueue& queue) const {
  with_float_type(dproduct.dtype, [&]<typename T>() {
    const Documents documents{first.pointer<std::int32_t>(), dproduct.shape[1]};
    const std::int64_t R = dproduct.shape[0] * dproduct.shape[1], both = dproduct.shape[2];
    parallel_for(queue.threads, R, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r)
        each_map(hidden, maps, both / 2, [&](std::size_t m, const Columns& at) {
          T* row = dproduct.pointer<T>() + r * both;
          add_row(*this, m, r, row + at.own, at.width, dproduct.fresh);
          if (!documents.ends(r))
            add_row(*this, m, r + 1, row + at.next, at.width, dproduct.fresh);
          else if (dproduct.fresh)
            std::fill_n(row + at.next, at.width, T(0));
        });
    });
    if (dprevious.exists()) add_to_previous<T>(*this, documents);
  });
}

}  // namespace metascale
