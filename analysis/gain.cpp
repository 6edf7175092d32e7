#include "analysis/gain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.hpp"

namespace metascale {

double inverse(const Fit& fit, std::span<const double> inside, double loss) {
  const Law& form = law(fit.kind);
  if (form.variables != 1)
    throw Error(concat("the law ", name_of(fit.kind), " has two variables and no inverse"),
                ExitCode::usage);
  const double rest =
      form.constant < 0 ? loss : loss - std::exp(inside[std::size_t(form.constant)]);
  const double exponent = inside[std::size_t(form.terms[0].exponent)];
  if (rest <= 0 || exponent <= 0) return std::numeric_limits<double>::quiet_NaN();
  return std::exp((inside[std::size_t(form.terms[0].coefficient)] - std::log(rest)) / exponent);
}

namespace {

std::pair<double, double> fitted_range(const Fit& fit) {
  const auto [low, high] =
      std::minmax_element(fit.points.begin(), fit.points.end(),
                          [](const FitPoint& a, const FitPoint& b) { return a.x[0] < b.x[0]; });
  return {low->x[0], high->x[0]};
}

// x at which a replicate of the baseline reaches the loss that the arm has at x. One that never
// falls to it needs infinitely much; one that does not fall and lies below it already, nothing.
double drawn_inverse(const Fit& baseline, std::span<const double> replicate, double loss,
                     double x) {
  const double there = inverse(baseline, replicate, loss);
  if (std::isfinite(there)) return there;
  const double at[] = {x};
  return law(baseline.kind).loss(replicate, at) > loss ? std::numeric_limits<double>::infinity()
                                                       : 0;
}

}  // namespace

Advantage advantage_at(const Fit& baseline, double baseline_x, const Fit& arm, double x,
                       double loss, double confidence) {
  const auto [low, high] = fitted_range(baseline);
  if (!(baseline_x >= low && baseline_x <= high)) return {};
  const double at[] = {x}, there[] = {baseline_x};
  const double fitted = arm.predict(at);
  Advantage result;
  result.baseline_loss = baseline.predict(there);
  result.share = 1 - loss / result.baseline_loss;
  std::vector<double> draws;
  for (std::size_t i = 0; i < std::min(baseline.replicates.size(), arm.replicates.size()); ++i)
    draws.push_back(1 - loss * law(arm.kind).loss(arm.replicates[i], at) / fitted /
                            law(baseline.kind).loss(baseline.replicates[i], there));
  result.interval = percentile_interval(std::move(draws), confidence);
  return result;
}

EquivalentGain equivalent_gain(const Fit& baseline, const Fit& arm, double x, double loss,
                               double confidence) {
  EquivalentGain result{.x = x, .loss = loss};
  result.baseline_x = inverse(baseline, baseline.inside, loss);
  result.gain = result.baseline_x / x;
  const double at[] = {x};
  const double fitted = arm.predict(at);
  std::vector<double> draws;
  for (std::size_t i = 0; i < std::min(baseline.replicates.size(), arm.replicates.size()); ++i) {
    const auto& other = arm.replicates[i];
    const double drawn = loss * law(arm.kind).loss(other, at) / fitted;
    draws.push_back(drawn_inverse(baseline, baseline.replicates[i], drawn, x) / x);
  }
  result.interval = percentile_interval(std::move(draws), confidence);
  result.at_equal = advantage_at(baseline, x, arm, x, loss, confidence);
  const auto [low, high] = fitted_range(baseline);
  const auto is_beyond = [&, low = low, high = high](double gain) {
    return gain * x < low || gain * x > high;
  };
  result.low_beyond = is_beyond(result.interval.low);
  result.high_beyond = is_beyond(result.interval.high);
  result.beyond = result.baseline_x < low || result.baseline_x > high;
  if (!std::isfinite(result.baseline_x))
    result.problem = "the baseline's law never reaches this loss";
  else if (result.beyond)
    result.problem = fmt::format(
        "the baseline reaches this loss at {:.3g}, outside its fitted range "
        "{:.3g} to {:.3g}",
        result.baseline_x, low, high);
  return result;
}

}  // namespace metascale
