// What every operator must hold, asked through Op::operands. A case is a struct that owns its
// memory and is built from a Dtype (and sizes of its own):
//   struct NormCase {
//     Memory memory;  NormForward forward;  NormBackward backward;       // backward: where there
//     is one explicit NormCase(Dtype dtype);
//   };
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/queue.hpp"
#include "tests/support/gradients.hpp"
#include "tests/support/values.hpp"

namespace metascale::testing {

// Relative to the largest element of the tensor compared.
namespace tolerance {
inline constexpr double f64 = 1e-12;  // the same sums in another order
inline constexpr double f32 = 4e-5;   // a few hundred summands, each with 6e-8
inline constexpr double bf16 = 2e-2;  // operands with 8 bits
}  // namespace tolerance

// The memory of a case, made before its operators [tests/kernels/*_cases.hpp].
struct OwnMemory {
  Memory memory;
};

struct Named {
  std::string name;
  Tensor tensor;
};

// What op writes or adds to; operands that were left out are left out here too.
template <typename Op>
std::vector<Named> outputs_of(const Op& op) {
  std::vector<Named> outputs;
  Op::operands(op, [&](const char* name, const Tensor& tensor, Use use) {
    if (tensor.exists() && (use == Use::write || use == Use::add))
      outputs.push_back({name, tensor});
  });
  return outputs;
}

template <typename Case>
std::vector<Named> outputs_of_case(const Case& item) {
  std::vector<Named> outputs = outputs_of(item.forward);
  if constexpr (requires { item.backward; })
    for (const Named& output : outputs_of(item.backward)) outputs.push_back(output);
  return outputs;
}

template <typename Case>
void run_case(Queue& queue, const Case& item) {
  run(queue, item.forward);
  if constexpr (requires { item.backward; }) run(queue, item.backward);
}

// max |a - b| / max |b|; not finite where a or b is not.
inline double relative_distance(const Tensor& a, const Tensor& b) {
  const Values left = values_of(a), right = values_of(b);
  double distance = 0, largest = 0;
  for (std::size_t i = 0; i < right.size(); ++i) {
    const double difference = std::abs(left[i] - right[i]);
    if (!std::isfinite(difference)) return difference;
    distance = std::max(distance, difference);
    largest = std::max(largest, std::abs(right[i]));
  }
  return largest > 0 ? distance / largest : distance;
}

inline void expect_close(const std::vector<Named>& outputs, const std::vector<Named>& truth,
                         double tolerance) {
  REQUIRE(outputs.size() == truth.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    INFO("operand " << outputs[i].name);
    REQUIRE(outputs[i].tensor.size() == truth[i].tensor.size());
    CHECK(relative_distance(outputs[i].tensor, truth[i].tensor) <= tolerance);  // NaN fails
  }
}

template <typename Case, typename... Sizes>
void expect_f32_close_to_f64(Sizes... sizes) {
  Queue queue;
  Case narrow(Dtype::f32, sizes...), wide(Dtype::f64, sizes...);
  run_case(queue, narrow);
  run_case(queue, wide);
  expect_close(outputs_of_case(narrow), outputs_of_case(wide), tolerance::f32);
}

template <typename Case, typename... Sizes>
void expect_same_bits_on_any_number_of_threads(Sizes... sizes) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    Queue one, many;
    many.cpu.threads = 3;
    Case first(dtype, sizes...), second(dtype, sizes...);
    run_case(one, first);
    run_case(many, second);
    const std::vector<Named> a = outputs_of_case(first), b = outputs_of_case(second);
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      INFO("operand " << a[i].name << " in " << name_of(dtype));
      CHECK(same_bits(a[i].tensor, b[i].tensor));
    }
  }
}

// Runs op, whose gradients are fresh and NaN, and runs it again upon random numbers: the second
// result is those numbers plus the first result.
template <typename Op>
void expect_adds_to_the_gradients_it_finds(Queue& queue, Op op, double tolerance = tolerance::f64) {
  run(queue, op);
  std::vector<Values> alone, found;
  Op::operands(op, [&](const char*, Tensor& tensor, Use use) {
    if (!tensor.exists() || use != Use::add) return;
    alone.push_back(values_of(tensor));
    found.push_back(random_values(tensor.size(), 77u + unsigned(found.size())));
    assign(tensor, found.back());
    tensor.fresh = false;
  });
  REQUIRE(!alone.empty());
  run(queue, op);
  std::size_t index = 0;
  Op::operands(op, [&](const char* name, Tensor& tensor, Use use) {
    if (!tensor.exists() || use != Use::add) return;
    const Values sum = values_of(tensor), &first = alone[index], &before = found[index];
    double largest = 0, distance = 0;
    for (std::size_t i = 0; i < sum.size(); ++i) {
      const double difference = std::abs(sum[i] - (before[i] + first[i]));
      distance = std::isfinite(difference) ? std::max(distance, difference) : INFINITY;
      largest = std::max(largest, std::abs(sum[i]));
    }
    INFO("gradient " << name);
    CHECK(distance <= tolerance * largest);
    ++index;
  });
}

// A result of the forward with its gradient, and an operand of it with the gradient to test.
struct Result {
  Tensor y, dy;
};
struct Differentiated {
  std::string name;
  Tensor x, dx;
};

// Runs an f64 case and expects the gradients of sum <y, dy> that its backward has written.
template <typename Case>
void expect_gradients_of_differences(const Case& item, const std::vector<Result>& results,
                                     const std::vector<Differentiated>& operands,
                                     Differences how = {}) {
  Queue queue;
  run_case(queue, item);
  std::vector<Values> gradients;  // copied: running the forward again might reuse memory
  for (const Differentiated& operand : operands) gradients.push_back(values_of(operand.dx));
  const auto loss = [&] {
    run(queue, item.forward);
    double sum = 0;
    for (const Result& result : results) sum += dot(values_of(result.y), values_of(result.dy));
    return sum;
  };
  for (std::size_t i = 0; i < operands.size(); ++i)
    expect_gradient(operands[i].name, operands[i].x, gradients[i], loss, how);
}

// The message with which action fails; "" where it does not.
template <typename Action>
std::string message_of_error(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace metascale::testing
