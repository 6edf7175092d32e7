// Tensor: an address with a dtype and a shape; it owns nothing and is always contiguous.
// View<T, Rank>: the same, typed; this is what loops and kernels index.
//
// Plain C++ without device marks: nvcc reads it with --expt-relaxed-constexpr.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "core/bfloat16.hpp"
#include "core/error.hpp"

namespace metascale {

enum class Device { cpu, cuda, plan };  // plan executes nothing: it counts memory and cost
enum class Dtype { f32, f64, bf16, i32 };

template <typename T>
struct dtype_trait;
template <>
struct dtype_trait<float> {
  static constexpr Dtype value = Dtype::f32;
};
template <>
struct dtype_trait<double> {
  static constexpr Dtype value = Dtype::f64;
};
template <>
struct dtype_trait<bfloat16> {
  static constexpr Dtype value = Dtype::bf16;
};
template <>
struct dtype_trait<std::int32_t> {
  static constexpr Dtype value = Dtype::i32;
};
template <typename T>
inline constexpr Dtype dtype_of = dtype_trait<std::remove_const_t<T>>::value;

constexpr std::size_t size_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f64: return 8;
    case Dtype::f32:
    case Dtype::i32: return 4;
    case Dtype::bf16: return 2;
  }
  return 0;
}
constexpr const char* name_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f64: return "f64";
    case Dtype::f32: return "f32";
    case Dtype::bf16: return "bf16";
    case Dtype::i32: return "i32";
  }
  return "?";
}

// Calls body.operator()<T>() with float or double, the dtypes that CPU operators compute in.
template <typename Body>
decltype(auto) with_float_type(Dtype dtype, Body&& body) {
  switch (dtype) {
    case Dtype::f32: return body.template operator()<float>();
    case Dtype::f64: return body.template operator()<double>();
    case Dtype::bf16:
    case Dtype::i32: break;
  }
  throw Error(concat("an operator was given a tensor of ", name_of(dtype),
                     ", but it computes in f32 or f64; convert it first (kernels/elementwise.hpp: "
                     "Cast)"));
}

struct Shape {
  static constexpr int max_rank = 5;
  std::array<std::int64_t, max_rank> extents{1, 1, 1, 1, 1};
  int rank = 0;

  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<std::int64_t> list) {
    for (std::int64_t extent : list) extents[std::size_t(rank++)] = extent;
  }
  constexpr std::int64_t operator[](int axis) const { return extents[std::size_t(axis)]; }
  constexpr std::int64_t size() const {  // number of elements
    std::int64_t product = 1;
    for (int axis = 0; axis < rank; ++axis) product *= extents[std::size_t(axis)];
    return product;
  }
  friend constexpr bool operator==(const Shape&, const Shape&) = default;
};

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '(';
  for (int axis = 0; axis < shape.rank; ++axis) out << (axis ? ", " : "") << shape[axis];
  return out << ')';
}

template <typename T, int Rank>
struct View {
  T* data = nullptr;
  std::array<std::int64_t, std::size_t(Rank)> extents{};

  template <typename... Indices>
  constexpr T& operator()(Indices... indices) const {
    static_assert(sizeof...(Indices) == Rank, "one index per axis");
    std::int64_t offset = 0;
    std::size_t axis = 0;
    ((offset = offset * extents[axis++] + indices), ...);
    return data[offset];
  }
};

struct Tensor {
  void* data = nullptr;
  Shape shape;
  Dtype dtype = Dtype::f32;
  std::int32_t buffer = -1;  // which planned buffer this is [experiments/tape.hpp]; -1: none
  bool fresh = false;        // a gradient that holds nothing yet: assigned to, not added to

  bool exists() const { return shape.rank > 0; }  // optional operands are left default
  std::int64_t size() const { return exists() ? shape.size() : 0; }
  std::size_t bytes() const { return std::size_t(size()) * size_of(dtype); }

  // The same elements under another shape of equal size.
  Tensor reshaped(Shape wanted) const {
    if (wanted.size() != shape.size())
      throw Error(concat("a tensor of shape ", shape, " cannot be read as ", wanted));
    Tensor result = *this;
    result.shape = wanted;
    return result;
  }

  // Typed, read as Rank axes: leading axes are merged when the tensor has more than Rank.
  template <typename T, int Rank>
  View<T, Rank> as() const {
    if (dtype_of<T> != dtype || shape.rank < Rank)
      throw Error(concat("a tensor ", shape, " of ", name_of(dtype), " was read as rank ", Rank,
                         " of ", name_of(dtype_of<T>)));
    View<T, Rank> view{static_cast<T*>(data), {}};
    const int merged = shape.rank - Rank;
    view.extents.fill(1);
    for (int axis = 0; axis < shape.rank; ++axis)
      view.extents[std::size_t(axis < merged ? 0 : axis - merged)] *= shape[axis];
    return view;
  }
  template <typename T>
  T* pointer() const {  // nullptr for an operand that was left out
    return exists() ? as<T, 1>().data : nullptr;
  }
};

// Throws unless tensor has this shape. An op names itself and its field: "RmsNormForward.weight".
inline void expect_shape(const char* what, const Tensor& tensor, Shape wanted,
                         const char* because) {
  if (tensor.shape != wanted)
    throw Error(
        concat(what, " has shape ", tensor.shape, " but must have ", wanted, ": ", because));
}
inline void expect_dtype(const char* what, const Tensor& tensor, Dtype wanted,
                         const char* because) {
  if (tensor.dtype != wanted)
    throw Error(concat(what, " is ", name_of(tensor.dtype), " but must be ", name_of(wanted), ": ",
                       because));
}

}  // namespace metascale
