// What several operators' check() ask of their operands.
#pragma once

#include "kernels/queue.hpp"

namespace metascale {

// The shape with its leading axes merged until `rank` are left: (B, T, D) as rank 2 is (B*T, D).
constexpr Shape merged(const Shape& shape, int rank) {
  if (shape.rank <= rank) return shape;
  Shape result;
  result.rank = rank;
  for (int axis = 0; axis < shape.rank; ++axis)
    result.extents[std::size_t(axis < shape.rank - rank ? 0 : axis - (shape.rank - rank))] *=
        shape[axis];
  return result;
}

// As expect_shape, for operands whose leading axes may come unmerged.
inline void expect_merged_shape(const char* what, const Tensor& tensor, Shape wanted,
                                const char* because) {
  if (merged(tensor.shape, wanted.rank) != wanted)
    throw Error(
        concat(what, " has shape ", tensor.shape, " but must have ", wanted, ": ", because));
}

inline void expect_rank(const char* what, const Tensor& tensor, int least, const char* axes) {
  if (tensor.shape.rank < least)
    throw Error(concat(what, " has shape ", tensor.shape, " but must have at least ", least,
                       " axes: ", axes));
}

// Where documents start: per token the position in its row of the first token of its document.
inline void expect_first_positions(const char* what, const Tensor& first, std::int64_t B,
                                   std::int64_t T) {
  if (!first.exists()) return;
  expect_shape(what, first, {B, T}, "one position per token");
  expect_dtype(what, first, Dtype::i32, "positions are indices");
}

// Of bf16, for an operand of products in bf16 that is rounded first: none where it is stored so.
inline std::int64_t rounded_elements(const Tensor& operand, std::int64_t elements) {
  return operand.dtype == Dtype::bf16 ? 0 : elements;
}

// Throws unless every operand is f64, or every one is f32 or stored in bf16 (kernels/widen.hpp);
// integers and operands left out do not count.
template <typename Op>
void expect_float_dtypes(const char* op_name, const Op& op) {
  const char* first_name = nullptr;
  Dtype first = Dtype::f32;
  Op::operands(op, [&](const char* name, const Tensor& tensor, Use) {
    if (!tensor.exists() || tensor.dtype == Dtype::i32) return;
    if (first_name == nullptr) {
      first_name = name;
      first = tensor.dtype;
    } else if ((tensor.dtype == Dtype::f64) != (first == Dtype::f64)) {
      throw Error(concat(op_name, ".", name, " is ", name_of(tensor.dtype), " but must be ",
                         first == Dtype::f64 ? "f64" : "f32 or bf16", ": ", op_name, ".",
                         first_name, " is ", name_of(first)));
    }
  });
}

}  // namespace metascale
