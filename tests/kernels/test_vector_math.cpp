#include <bit>
#include <catch2/catch.hpp>
#include <cstring>
#include <limits>

#include "kernels/cpu/vector_math.hpp"

namespace metascale {
namespace {

// The largest relative error of approximate(x) over every stride-th float in [low, high] and its
// negative.
template <typename Approximate, typename Exact>
double largest_error(float low, float high, std::uint32_t stride, Approximate approximate,
                     Exact exact) {
  double largest = 0;
  const std::uint32_t last = std::bit_cast<std::uint32_t>(high);
  for (std::uint32_t bits = std::bit_cast<std::uint32_t>(low); bits <= last; bits += stride)
    for (const float sign : {1.0f, -1.0f}) {
      const float x = sign * std::bit_cast<float>(bits);
      const double truth = exact(double(x));
      if (std::abs(truth) < 2.4e-38) continue;  // flushed to 0, as documented
      const double error = std::abs(double(approximate(x)) - truth) / std::abs(truth);
      if (!(error <= largest)) largest = error;  // NaN too
    }
  return largest;
}

constexpr std::uint32_t stride = 10007;  // a prime: 2 * 10^5 of the floats

float exponential(float x) { return vector_exp(x); }
float hyperbolic_tangent(float x) { return vector_tanh(x); }
float logistic(float x) { return vector_sigmoid(x); }
float error_function(float x) { return vector_erf(x); }

}  // namespace

TEST_CASE("vector_exp is exact to 4e-7") {
  CHECK(largest_error(1e-30f, 88.7f, stride, exponential, [](double x) { return std::exp(x); }) <=
        4e-7);
}

TEST_CASE("vector_tanh is exact to 4e-7") {
  CHECK(largest_error(1e-30f, 100.0f, stride, hyperbolic_tangent,
                      [](double x) { return std::tanh(x); }) <= 4e-7);
}

TEST_CASE("vector_sigmoid is exact to 4e-7") {
  CHECK(largest_error(1e-30f, 80.0f, stride, logistic,
                      [](double x) { return 1 / (1 + std::exp(-x)); }) <= 4e-7);
}

TEST_CASE("vector_erf is exact to 4e-7") {
  CHECK(largest_error(1e-30f, 10.0f, stride, error_function,
                      [](double x) { return std::erf(x); }) <= 4e-7);
}

TEST_CASE("vector functions have the limits of the functions they stand for") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  CHECK(vector_exp(0.0f) == 1);
  CHECK(vector_exp(-infinity) == 0);
  CHECK(vector_exp(-1000.0f) == 0);
  CHECK(vector_exp(1000.0f) == infinity);
  CHECK(vector_exp(infinity) == infinity);
  CHECK(vector_tanh(infinity) == 1);
  CHECK(vector_tanh(-infinity) == -1);
  CHECK(vector_sigmoid(infinity) == 1);
  CHECK(vector_sigmoid(-infinity) == 0);
  CHECK(vector_erf(infinity) == 1);
  CHECK(vector_erf(-infinity) == -1);
  CHECK(std::isnan(vector_erf(std::nanf(""))));
  CHECK(std::isnan(vector_exp(std::nanf(""))));
  CHECK(std::isnan(vector_tanh(std::nanf(""))));
  CHECK(std::isnan(vector_sigmoid(std::nanf(""))));
}

}  // namespace metascale
