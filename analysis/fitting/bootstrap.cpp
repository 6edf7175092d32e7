#include "analysis/fitting/bootstrap.hpp"

#include <cmath>
#include <map>
#include <mutex>

#include "analysis/paired.hpp"
#include "analysis/support/random.hpp"
#include "core/error.hpp"
#include "core/parallel.hpp"

namespace metascale {
namespace {

// What the draws are made of: the mean of each point's cell, and the noise of single runs.
struct Noise {
  std::vector<double> centre;      // ln L, one per point: the mean of its cell
  std::vector<double> deviations;  // of single runs from their cells' means; empty: none to see
  double known = known_seed_deviation;
};

std::map<std::string, std::vector<std::size_t>> cells_of(std::span<const FitPoint> points) {
  std::map<std::string, std::vector<std::size_t>> cells;
  for (std::size_t i = 0; i < points.size(); ++i)
    cells[points[i].cell.empty() ? concat("point ", i) : points[i].cell].push_back(i);
  return cells;
}

// Deviations are pooled over cells, since two or three runs of one cell tell too little of its
// noise, and stretched by sqrt(n / (n - 1)), which the mean of n runs has taken from them.
Noise noise_of(std::span<const FitPoint> points, const LogTable& table, const FitOptions& options) {
  Noise noise;
  noise.centre = table.log_loss;
  if (options.seed_deviation > 0) noise.known = options.seed_deviation;
  for (const auto& [cell, members] : cells_of(points)) {
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

void draw_losses(const Noise& noise, CounterRandom random, std::vector<double>& log_loss) {
  for (std::size_t i = 0; i < log_loss.size(); ++i)
    log_loss[i] = noise.centre[i] + (noise.deviations.empty()
                                         ? random.normal() * noise.known
                                         : noise.deviations[random.below(noise.deviations.size())]);
}

}  // namespace

void add_replicates(Fit& fit, const LogTable& table, std::span<const std::vector<double>> optima,
                    const FitOptions& options) {
  const Noise noise = noise_of(fit.points, table, options);
  fit.parametric_bootstrap = noise.deviations.empty();
  fit.cells = std::int64_t(cells_of(fit.points).size());
  fit.replicates.assign(std::size_t(options.draws), {});
  std::mutex progress_lock;
  int done = 0;
  parallel_for(options.threads, options.draws, [&](std::int64_t begin, std::int64_t end) {
    LogTable drawn = table;
    const LeastSquares problem = problem_of(law(fit.kind), drawn, options);
    for (std::int64_t draw = begin; draw < end; ++draw) {
      draw_losses(noise, CounterRandom(options.seed, std::uint64_t(draw)), drawn.log_loss);
      Minimum best;
      for (const std::vector<double>& start : optima) {
        Minimum minimum = minimise_nearby(problem, start, {.iterations = 300, .tolerance = 1e-11});
        if (minimum.objective < best.objective) best = std::move(minimum);
      }
      fit.replicates[std::size_t(draw)] = best.at.empty() ? fit.inside : best.at;
      if (!options.progress) continue;
      const std::scoped_lock lock(progress_lock);
      options.progress(++done, options.draws);
    }
  });
}

}  // namespace metascale
