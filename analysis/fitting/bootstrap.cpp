#include "analysis/fitting/bootstrap.hpp"

#include "analysis/fitting/draw_counter.hpp"
#include "analysis/fitting/noise.hpp"
#include "core/parallel.hpp"

namespace metascale {

void add_replicates(Fit& fit, const LogTable& table, std::span<const std::vector<double>> optima,
                    const FitOptions& options) {
  const Noise noise = noise_of(fit.points, table, options);
  fit.parametric_bootstrap = noise.deviations.empty();
  fit.replicates.assign(std::size_t(options.draws), {});
  DrawCounter counter(options.progress, options.draws);
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
      counter.count();
    }
  });
}

}  // namespace metascale
