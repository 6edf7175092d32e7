#include "experiments/layers/time_mix_initial.hpp"

#include <cmath>

#include "experiments/layers/recurrent_shape.hpp"

namespace metascale {
namespace {

Initial mix_ramp(double width, double power) {  // 1 - (i/D)^power
  return Initial::elements([=](std::int64_t i) { return 1 - std::pow(double(i) / width, power); });
}

}  // namespace

TimeMixInitial::TimeMixInitial(const ModelConfig& config, std::int64_t layer)
    : D(double(config.width)), layer(double(layer)), L(double(config.layers)) {
  const RecurrentShape shape = recurrent_shape(config);
  A = double(shape.A);
  N = double(shape.N);
}

Initial TimeMixInitial::vector(const std::string& name) const {
  const double falling = 1 - layer / L;                 // 1 in the first layer
  const double rising = L > 1 ? layer / (L - 1) : 0.0;  // 0/0 for one layer: 0
  const auto ramp = [A = A](std::int64_t n) { return A > 1 ? double(n) / (A - 1) : 0.0; };
  const auto zigzag = [N = N](std::int64_t n) {
    const double half = (N - 1) / 2, z = half > 0 ? (std::fmod(double(n), N) - half) / half : 0.0;
    return z * std::abs(z);
  };
  if (name == "x_r" || name == "x_g") return mix_ramp(D, 0.2 * falling);
  if (name == "x_w" || name == "x_a") return mix_ramp(D, 0.9 * falling);
  if (name == "x_k" || name == "x_v") return mix_ramp(D, 0.7 * falling);
  if (name == "w0") {
    const double power = 1 + std::pow(rising, 0.3);
    return Initial::elements(
        [=](std::int64_t n) { return -5.5 + 6 * std::pow(ramp(n), power) + 2.5 * zigzag(n); });
  }
  if (name == "a0")
    return Initial::elements(
        [=](std::int64_t n) { return -0.19 + 0.3 * zigzag(n) + 0.4 * (ramp(n) - 0.5); });
  if (name == "v0")
    return Initial::elements([=](std::int64_t n) { return 0.73 - 0.4 * (ramp(n) - 0.5); });
  if (name == "k_k")
    return Initial::elements([=](std::int64_t n) { return 0.71 - 0.1 * (ramp(n) - 0.5); });
  if (name == "k_a") return Initial::constant(1.02);
  if (name == "ln_x") return Initial::constant(std::pow((1 + layer) / L, 0.7));
  throw Error(concat("the time mix has no vector '", name, "'"));
}

Initial channel_mix_initial(const ModelConfig& config, std::int64_t layer) {
  const double falling = 1 - double(layer) / double(config.layers);
  return mix_ramp(double(config.width), std::pow(falling, 4));
}

}  // namespace metascale
