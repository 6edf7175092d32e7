#include "analysis/fitting/noise.hpp"

#include <cmath>
#include <map>
#include <string>

#include "analysis/paired.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

std::map<std::string, std::vector<std::size_t>> cells_of(std::span<const FitPoint> points) {
  std::map<std::string, std::vector<std::size_t>> cells;
  for (std::size_t i = 0; i < points.size(); ++i)
    cells[points[i].cell.empty() ? concat("point ", i) : points[i].cell].push_back(i);
  return cells;
}

}  // namespace

// Deviations are pooled over cells, since two or three runs of one cell tell too little of its
// noise, and stretched by sqrt(n / (n - 1)), which the mean of n runs has taken from them.
Noise noise_of(std::span<const FitPoint> points, const LogTable& table, const FitOptions& options) {
  Noise noise;
  noise.centre = table.log_loss;
  noise.known = options.seed_deviation > 0 ? options.seed_deviation : known_seed_deviation;
  const auto cells = cells_of(points);
  noise.cells = std::int64_t(cells.size());
  for (const auto& [cell, members] : cells) {
    if (members.size() < 2) continue;
    const double count = double(members.size());
    double mean = 0;
    for (const std::size_t i : members) mean += table.log_loss[i] / count;
    for (const std::size_t i : members) {
      noise.centre[i] = mean;
      noise.deviations.push_back((table.log_loss[i] - mean) * std::sqrt(count / (count - 1)));
    }
  }
  return noise;
}

double Noise::deviation() const {
  if (deviations.empty()) return known;
  double squares = 0;
  for (const double value : deviations) squares += value * value;
  return std::sqrt(squares / double(deviations.size()));
}

void draw_losses(const Noise& noise, CounterRandom random, std::vector<double>& log_loss) {
  for (std::size_t i = 0; i < log_loss.size(); ++i)
    log_loss[i] = noise.centre[i] + (noise.deviations.empty()
                                         ? random.normal() * noise.known
                                         : noise.deviations[random.below(noise.deviations.size())]);
}

}  // namespace metascale
