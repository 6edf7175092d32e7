// The noise of single runs around their cells, as bootstrap draws take it.
#pragma once

#include <span>
#include <vector>

#include "analysis/fit.hpp"
#include "analysis/fitting/search.hpp"
#include "analysis/support/random.hpp"

namespace metascale {

struct Noise {
  std::vector<double> centre;      // ln L, one per point: the mean of its cell
  std::vector<double> deviations;  // of single runs from their cells' means; empty: none to see
  double known = 0;                // relative; drawn where no cell has two runs
  std::int64_t cells = 0;

  double deviation() const;  // root mean square of what is drawn
};

Noise noise_of(std::span<const FitPoint> points, const LogTable& table, const FitOptions& options);

// Sets every ln L to its centre plus a deviation of a single run.
void draw_losses(const Noise& noise, CounterRandom random, std::vector<double>& log_loss);

}  // namespace metascale
