// Gradients by central differences of fourth order, along random directions: one number per tensor
// and direction, whatever its size.
//   f'(0) = (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h + O(h^4)    against  <df/dx, u>
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "tests/support/values.hpp"

namespace metascale::testing {

struct Differences {
  // 1e-3 balances the truncation h^4 against the rounding 1e-16/h; where a derivative jumps
  // (relu^2) only a step that hardly ever crosses the kink helps: take 3e-6 there, with a tolerance
  // of 1e-6.
  double step = 1e-3;
  double tolerance = 1e-8;  // relative to the length of the gradient
  int directions = 3;
};

// Expects <gradient, u> to be the slope of f along u for a few random u. x is f64, f reads it.
inline void expect_gradient(const std::string& name, const Tensor& x, const Values& gradient,
                            const std::function<double()>& f, Differences how = {}) {
  const Values x0 = values_of(x);
  REQUIRE(x.dtype == Dtype::f64);
  REQUIRE(gradient.size() == x0.size());
  for (int direction = 1; direction <= how.directions; ++direction) {
    const Values u = random_values(x.size(), 1000u + unsigned(direction));
    const auto at = [&](double step) {
      Values moved = x0;
      for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += step * u[i];
      assign(x, moved);
      return f();
    };
    const double h = how.step, near = at(h) - at(-h), far = at(2 * h) - at(-2 * h);
    const double slope = (8 * near - far) / (12 * h), claimed = dot(gradient, u);
    assign(x, x0);
    const double rounding = 1e-15 * (1 + std::abs(f())) / h;
    INFO("gradient by " << name << ", direction " << direction << ": claimed " << claimed
                        << ", differences give " << slope);
    CHECK(std::abs(claimed - slope) <= how.tolerance * norm(gradient) + rounding);  // NaN fails
  }
}

inline void expect_gradient(const std::string& name, const Tensor& x, const Tensor& gradient,
                            const std::function<double()>& f, Differences how = {}) {
  expect_gradient(name, x, values_of(gradient), f, how);
}

}  // namespace metascale::testing
