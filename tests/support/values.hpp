// Memory for the operands of an operator under test, and their values as doubles.
//
// Values are random but the same for f32 and f64 (both get numbers that float holds exactly); what
// an operator must write starts as NaN.
#pragma once

#include <cmath>
#include <cstring>
#include <deque>
#include <limits>
#include <random>
#include <vector>

#include "core/tensor.hpp"

namespace metascale::testing {

using Values = std::vector<double>;

// Normal values with mean 0 and variance 1, rounded to float.
inline Values random_values(std::int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  Values values(std::size_t(count), 0.0);
  for (double& value : values) value = double(normal(generator));
  return values;
}

inline double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

inline double norm(const Values& a) { return std::sqrt(dot(a, a)); }

// A tensor over values that the caller owns.
template <typename T>
Tensor tensor(std::vector<T>& values, Shape shape) {
  if (std::int64_t(values.size()) != shape.size())
    throw Error(concat(values.size(), " values do not fill a tensor of shape ", shape));
  return {values.data(), shape, dtype_of<T>};
}

namespace detail {
// Calls body(T*) with the tensor's elements as what they are.
template <typename Body>
void with_elements(const Tensor& tensor, Body&& body) {
  switch (tensor.dtype) {
    case Dtype::f32: return body(static_cast<float*>(tensor.data));
    case Dtype::f64: return body(static_cast<double*>(tensor.data));
    case Dtype::bf16: return body(static_cast<bfloat16*>(tensor.data));
    case Dtype::i32: return body(static_cast<std::int32_t*>(tensor.data));
  }
}
}  // namespace detail

inline Values values_of(const Tensor& tensor) {
  Values values(std::size_t(tensor.size()), 0.0);
  detail::with_elements(tensor, [&](const auto* elements) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = double(elements[i]);
  });
  return values;
}

inline void assign(const Tensor& tensor, const Values& values) {
  if (std::int64_t(values.size()) != tensor.size())
    throw Error(concat(values.size(), " values do not fill a tensor of shape ", tensor.shape));
  detail::with_elements(tensor, [&]<typename T>(T* elements) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if constexpr (std::is_same_v<T, bfloat16>)
        elements[i] = bfloat16(float(values[i]));
      else
        elements[i] = T(values[i]);
    }
  });
}

// Fills with NaN of the tensor's dtype (i32: a number that is no token).
inline void poison(const Tensor& tensor) {
  const double value =
      tensor.dtype == Dtype::i32 ? -1.0e9 : std::numeric_limits<double>::quiet_NaN();
  assign(tensor, Values(std::size_t(tensor.size()), value));
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.dtype == b.dtype && a.shape == b.shape && std::memcmp(a.data, b.data, a.bytes()) == 0;
}

// Owns what its tensors point to. The n-th tensor of a Memory has the same values in f32 and f64.
class Memory {
 public:
  explicit Memory(Dtype dtype) : dtype_(dtype) {}

  Tensor random(Shape shape, double scale = 1, double shift = 0) {  // what an operator reads
    return random(shape, scale, shift, dtype_);
  }
  Tensor random(Shape shape, double scale, double shift, Dtype dtype) {
    const Tensor result = allocate(shape, dtype);
    Values values = random_values(shape.size(), seed_++);
    for (double& value : values) value = double(float(shift + scale * value));
    assign(result, values);
    return result;
  }
  Tensor indices(Shape shape, std::int64_t below) {  // i32 in [0, below)
    const Tensor result = allocate(shape, Dtype::i32);
    std::mt19937 generator(seed_++);
    Values values(std::size_t(shape.size()), 0.0);
    for (double& value : values) value = double(std::int64_t(generator() % std::uint32_t(below)));
    assign(result, values);
    return result;
  }
  Tensor given(Shape shape, Dtype dtype, const void* bytes) {
    const Tensor result = allocate(shape, dtype);
    std::memcpy(result.data, bytes, result.bytes());
    return result;
  }
  Tensor output(Shape shape) { return output(shape, dtype_); }  // what it writes: NaN
  Tensor output(Shape shape, Dtype dtype) {
    const Tensor result = allocate(shape, dtype);
    poison(result);
    return result;
  }
  Tensor gradient(Shape shape) {  // what it adds to: fresh, and NaN
    Tensor result = output(shape);
    result.fresh = true;
    return result;
  }
  Tensor copy(const Tensor& source) {
    Tensor result = allocate(source.shape, source.dtype);
    std::memcpy(result.data, source.data, source.bytes());
    result.fresh = source.fresh;
    return result;
  }
  Dtype dtype() const { return dtype_; }

  // What stays f32 where activations are stored in bf16: vectors of parameters and their gradients,
  // statistics, states.
  Tensor parameter(Shape shape, double scale = 1, double shift = 0) {
    return random(shape, scale, shift, wide_dtype());
  }
  Tensor positive(Shape shape) {
    const Tensor result = parameter(shape);
    Values values = values_of(result);
    for (double& value : values) value = double(float(value * value));
    assign(result, values);
    return result;
  }
  Tensor statistic(Shape shape) { return output(shape, wide_dtype()); }
  Tensor parameter_gradient(Shape shape) {
    Tensor result = statistic(shape);
    result.fresh = true;
    return result;
  }

 private:
  Dtype wide_dtype() const { return dtype_ == Dtype::bf16 ? Dtype::f32 : dtype_; }
  Tensor allocate(Shape shape, Dtype dtype) {
    const std::size_t bytes = std::size_t(shape.size()) * size_of(dtype);
    blocks_.emplace_back((bytes + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
    return {blocks_.back().data(), shape, dtype};
  }

  Dtype dtype_;
  unsigned seed_ = 1;
  std::deque<std::vector<std::max_align_t>> blocks_;
};

}  // namespace metascale::testing
