#include "experiments/context_cost.hpp"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

#include "experiments/benchmark.hpp"
#include "experiments/generation.hpp"
#include "experiments/precision.hpp"
#include "experiments/program.hpp"

namespace metascale {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t least_tokens =
    2048;  // of one training step: shorter windows come several at a time
constexpr int tokens_at_position = 8;  // timed before each, times the repeats

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Measures at each length until the budget would not last: a length takes at least twice its half.
template <typename Measure>
CostCurve measured(const ContextCostOptions& options, const Measure& measure) {
  CostCurve curve;
  const auto start = Clock::now();
  double last = 0;
  for (std::int64_t tokens = options.least; tokens <= options.most; tokens *= 2) {
    if (curve.points.size() > 1 && seconds_since(start) + 2 * last > options.seconds) {
      curve.left_out = tokens;
      break;
    }
    const auto begin = Clock::now();
    curve.points.push_back(measure(tokens));
    last = seconds_since(begin);
  }
  return curve;
}

// A training program with random parameters, and how much the process grew by it.
class Measured {
 public:
  Measured(const ModelConfig& model, const ProgramOptions& options, int threads)
      : program_(model, options, list_), memory_(list_, Device::cpu, Dtype::f32) {
    initialise(list_, memory_, 1);
    queue_.cpu.threads = threads;
    before_ = metascale::resident_bytes();
    program_.allocate(Device::cpu, memory_);
    for (std::int64_t i = 0; i < options.rows * options.context; ++i) {
      program_.tokens()[i] = std::int32_t(i * 7919 % model.vocabulary);
      program_.targets()[i] = std::int32_t(i * 104729 % model.vocabulary);
      program_.set_scale(i, 1.0 / double(options.rows * options.context));
    }
  }
  Program& program() { return program_; }
  double seconds() {
    const auto start = Clock::now();
    program_.execute(queue_);
    return seconds_since(start);
  }
  double resident() const { return std::max(0.0, metascale::resident_bytes() - before_); }

 private:
  ParameterList list_;
  Program program_;
  ParameterMemory memory_;
  Queue queue_;
  double before_ = 0;
};

CostPoint training_point(const ModelConfig& model, std::int64_t context,
                         const ContextCostOptions& options) {
  const std::int64_t rows = std::max<std::int64_t>(1, least_tokens / context);
  const double tokens = double(rows * context);
  const TrainingConfig training{.context = context};
  Measured run(
      model, {.rows = rows, .context = context, .tape = tape_options(training, Device::cpu, true)},
      options.threads);
  run.seconds();  // touches all memory
  std::vector<double> seconds;
  for (int i = 0; i < options.repeats; ++i) seconds.push_back(run.seconds());
  return {.tokens = context,
          .seconds = median(seconds) / tokens,
          .planned_bytes = double(run.program().bytes()) / tokens,
          .resident_bytes = run.resident() / tokens};
}

void read_any(Generator& generator, std::int64_t count, std::int64_t vocabulary) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = std::int32_t(std::int64_t(i) * 7919 % vocabulary);
  generator.read(tokens);
}

// Reads on to the position, the last tokens one by one; before: resident without any of it.
CostPoint generation_point(Generator& generator, std::int64_t vocabulary, std::int64_t position,
                           double before, const ContextCostOptions& options) {
  const std::int64_t unread = position - generator.position();
  const std::int64_t timed = std::min<std::int64_t>(unread, tokens_at_position * options.repeats);
  read_any(generator, unread - timed, vocabulary);
  std::vector<double> seconds;
  for (std::int64_t i = 0; i < timed; ++i) {
    const auto start = Clock::now();
    generator.read(std::int32_t(i * 104729 % vocabulary));
    seconds.push_back(seconds_since(start));
  }
  return {.tokens = position,
          .seconds = median(seconds),
          .planned_bytes = double(generator.carried_bytes()),
          .resident_bytes = std::max(0.0, resident_bytes() - before)};
}

// 97.5 % points of Student's t with 1, 2 .. 10 degrees of freedom; then the normal's.
double t_quantile(std::size_t freedom) {
  constexpr double table[] = {12.706, 4.303, 3.182, 2.776, 2.571,
                              2.447,  2.365, 2.306, 2.262, 2.228};
  return freedom <= std::size(table) ? table[freedom - 1] : 1.96;
}

}  // namespace

double resident_bytes() {
  malloc_trim(0);  // what was freed is not held
  std::ifstream file("/proc/self/statm");
  double whole = 0, resident = 0, of_files = 0;  // pages; the last: code, which comes in at its use
  file >> whole >> resident >> of_files;
  return (resident - of_files) * double(::sysconf(_SC_PAGESIZE));
}

CostCurve training_cost(const ModelConfig& model, const ContextCostOptions& options) {
  return measured(options,
                  [&](std::int64_t tokens) { return training_point(model, tokens, options); });
}

CostCurve generation_cost(const ModelConfig& model, const ContextCostOptions& options) {
  LoadedModel loaded(model, Dtype::f32);
  initialise(loaded.list, loaded.memory, 1);
  const std::vector<std::int32_t> few(std::size_t(Generator::tokens_at_once) + 1);
  Generator(loaded, options.threads).read(few);  // what is made once: compiled kernels, threads
  const double before = resident_bytes();
  Generator generator(loaded, options.threads);
  return measured(options, [&](std::int64_t tokens) {
    return generation_point(generator, model.vocabulary, tokens, before, options);
  });
}

std::optional<Exponent> fit_exponent(const CostCurve& curve, double CostPoint::*cost) {
  std::vector<double> x, y;
  for (const CostPoint& point : curve.points)
    if (point.*cost > 0)
      x.push_back(std::log(double(point.tokens))), y.push_back(std::log(point.*cost));
  const std::size_t n = x.size();
  if (n < 3) return std::nullopt;
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0, squares = 0;
  for (std::size_t i = 0; i < n; ++i) mean_x += x[i] / double(n), mean_y += y[i] / double(n);
  for (std::size_t i = 0; i < n; ++i)
    xx += (x[i] - mean_x) * (x[i] - mean_x), xy += (x[i] - mean_x) * (y[i] - mean_y);
  const double slope = xy / xx;
  for (std::size_t i = 0; i < n; ++i) {
    const double residual = y[i] - mean_y - slope * (x[i] - mean_x);
    squares += residual * residual;
  }
  const double half = t_quantile(n - 2) * std::sqrt(squares / double(n - 2) / xx);
  return Exponent{.value = slope, .low = slope - half, .high = slope + half, .points = n};
}

std::optional<Crossover> crossover(const CostCurve& first, const CostCurve& second,
                                   double CostPoint::*cost) {
  const std::size_t both = std::min(first.points.size(), second.points.size());
  // Positive where the second is cheaper.
  const auto lead = [&](std::size_t i) {
    return std::log(first.points[i].*cost / (second.points[i].*cost));
  };
  std::size_t from = both;
  while (from > 0 && lead(from - 1) > 0) --from;
  if (from == both) return std::nullopt;
  if (from == 0) return Crossover{.tokens = double(first.points[0].tokens), .from_the_start = true};
  const double below = lead(from - 1), above = lead(from), part = -below / (above - below);
  const double x0 = std::log(double(first.points[from - 1].tokens));
  const double x1 = std::log(double(first.points[from].tokens));
  return Crossover{.tokens = std::exp(x0 + part * (x1 - x0))};
}

}  // namespace metascale
