#include "experiments/context_cost.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>

#include "core/line_fit.hpp"
#include "experiments/benchmark.hpp"
#include "experiments/generation.hpp"
#include "experiments/precision.hpp"
#include "experiments/program.hpp"
#include "experiments/training/usage.hpp"

namespace metascale {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t least_tokens =
    2048;  // of one training step: shorter windows come several at a time
constexpr int tokens_at_position = 8;  // timed before each, in each round

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Sample {
  std::vector<double> seconds;  // per token
  double planned_bytes = 0, resident_bytes = 0;
};

// The lengths of one round, until its part of the budget would not last: a length takes at least
// twice its half.
std::vector<std::int64_t> measure_lengths(const ContextCostOptions& options,
                                          const std::function<void(std::int64_t tokens)>& measure) {
  std::vector<std::int64_t> lengths;
  const auto start = Clock::now();
  double last = 0;
  for (std::int64_t tokens = options.least; tokens <= options.most; tokens *= 2) {
    if (lengths.size() > 1 && seconds_since(start) + 2 * last > options.seconds / options.repeats)
      break;
    const auto begin = Clock::now();
    measure(tokens);
    lengths.push_back(tokens);
    last = seconds_since(begin);
  }
  return lengths;
}

// Rounds over all lengths, not repeats of each: what disturbs the machine for some seconds is then
// in one repeat of many lengths, which their medians leave out. A round is begun by begin_round()
// and measures by what that returns. Bytes are the first round's.
template <typename BeginRound>
CostCurve measured(const ContextCostOptions& options, const BeginRound& begin_round) {
  std::map<std::int64_t, Sample> samples;
  CostCurve curve;
  ContextCostOptions round = options;
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    const auto measure = begin_round();
    const auto lengths = measure_lengths(round, [&](std::int64_t tokens) {
      const Sample sample = measure(tokens);
      Sample& all = samples.emplace(tokens, Sample{{}, sample.planned_bytes, sample.resident_bytes})
                        .first->second;
      all.seconds.insert(all.seconds.end(), sample.seconds.begin(), sample.seconds.end());
    });
    if (repeat > 0) continue;
    if (lengths.back() * 2 <= options.most) curve.left_out = lengths.back() * 2;
    round.most = lengths.back();
    round.seconds = std::numeric_limits<double>::infinity();
  }
  for (const auto& [tokens, sample] : samples) {
    const Spread spread = spread_of_median(sample.seconds);
    curve.points.push_back({.size = tokens,
                            .seconds = median(sample.seconds),
                            .seconds_low = spread.low,
                            .seconds_high = spread.high,
                            .planned_bytes = sample.planned_bytes,
                            .resident_bytes = sample.resident_bytes});
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

Sample training_sample(const ModelConfig& model, std::int64_t context, int threads) {
  const std::int64_t rows = std::max<std::int64_t>(1, least_tokens / context);
  const double tokens = double(rows * context);
  const TrainingConfig training{.context = context};
  Measured run(
      model, {.rows = rows, .context = context, .tape = tape_options(training, Device::cpu, true)},
      threads);
  run.seconds();  // touches all memory
  return {.seconds = {run.seconds() / tokens},
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
Sample generation_sample(Generator& generator, std::int64_t vocabulary, std::int64_t position,
                         double before) {
  const std::int64_t unread = position - generator.position();
  const std::int64_t timed = std::min<std::int64_t>(unread, tokens_at_position);
  read_any(generator, unread - timed, vocabulary);
  Sample sample;
  for (std::int64_t i = 0; i < timed; ++i) {
    const auto start = Clock::now();
    generator.read(std::int32_t(i * 104729 % vocabulary));
    sample.seconds.push_back(seconds_since(start));
  }
  sample.planned_bytes = double(generator.carried_bytes());
  sample.resident_bytes = std::max(0.0, resident_bytes() - before);
  return sample;
}

// What was computed has none.
Spread spread_in(const CostPoint& point, double CostPoint::*cost) {
  if (cost == &CostPoint::seconds) return {point.seconds_low, point.seconds_high};
  return {point.*cost, point.*cost};
}

}  // namespace

Spread spread_of_median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  // Of n fair coins at most k fall heads with 2.5 % or less: the interval leaves k at either side.
  double probability = std::pow(0.5, double(n)), sum = probability;
  std::size_t k = 0;
  for (std::size_t next = 1; 2 * next < n; ++next) {
    probability *= double(n - next + 1) / double(next);
    sum += probability;
    if (sum > 0.025) break;
    k = next;
  }
  return {values[k], values[n - 1 - k]};
}

CostCurve training_cost(const ModelConfig& model, const ContextCostOptions& options) {
  return measured(options, [&] {
    return [&](std::int64_t tokens) { return training_sample(model, tokens, options.threads); };
  });
}

CostCurve generation_cost(const ModelConfig& model, const ContextCostOptions& options) {
  LoadedModel loaded(model, Dtype::f32);
  initialise(loaded.list, loaded.memory, 1);
  const std::vector<std::int32_t> few(std::size_t(Generator::tokens_at_once) + 1);
  Generator(loaded, options.threads).read(few);  // what is made once: compiled kernels, threads
  return measured(options, [&] {
    const double before = resident_bytes();
    const auto generator = std::make_shared<Generator>(loaded, options.threads);
    return [&model, before, generator](std::int64_t tokens) {
      return generation_sample(*generator, model.vocabulary, tokens, before);
    };
  });
}

std::optional<Exponent> fit_exponent(const CostCurve& curve, double CostPoint::*cost) {
  std::vector<double> x, y;
  for (const CostPoint& point : curve.points)
    if (point.*cost > 0)
      x.push_back(std::log(double(point.size))), y.push_back(std::log(point.*cost));
  const std::optional<LineFit> line = fit_line(x, y);
  if (!line) return std::nullopt;
  return Exponent{.value = line->slope,
                  .low = line->slope - line->half,
                  .high = line->slope + line->half,
                  .points = x.size()};
}

std::optional<Crossover> crossover(const CostCurve& first, const CostCurve& second,
                                   double CostPoint::*cost) {
  const std::size_t both = std::min(first.points.size(), second.points.size());
  std::size_t from = both;  // from here on second is cheaper, beyond the spread of the repeats
  while (from > 0 && spread_in(second.points[from - 1], cost).high <
                         spread_in(first.points[from - 1], cost).low)
    --from;
  if (from == both) return std::nullopt;
  const auto tokens = [&](std::size_t i) { return double(first.points[i].size); };
  if (from == 0)
    return Crossover{
        .tokens = tokens(0), .low = tokens(0), .high = tokens(0), .from_the_start = true};
  std::size_t before = from;  // up to before - 1: dearer, likewise
  while (before > 0 && spread_in(first.points[before - 1], cost).high >=
                           spread_in(second.points[before - 1], cost).low)
    --before;
  if (before == 0)
    return Crossover{
        .tokens = tokens(from), .low = tokens(0), .high = tokens(from), .at_or_before = true};
  const auto lead = [&](std::size_t i) {  // positive where the second is cheaper
    return std::log(first.points[i].*cost / (second.points[i].*cost));
  };
  std::size_t last = from - 1;  // at which the second's median is not cheaper
  while (lead(last) > 0) --last;
  const double part = -lead(last) / (lead(last + 1) - lead(last));
  const double x0 = std::log(tokens(last)), x1 = std::log(tokens(last + 1));
  return Crossover{
      .tokens = std::exp(x0 + part * (x1 - x0)), .low = tokens(before - 1), .high = tokens(from)};
}

}  // namespace metascale
