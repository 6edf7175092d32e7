// Tasks that ask for a value that stood beside its key earlier in the text.
#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "data/probes/tasks.hpp"

namespace metascale::probes {
namespace {

// ---- mqar: multi-query associative recall [Arora et al. 2023, Zoology]. Ids: keys 1 .. V/2 - 1,
// values V/2 .. V - 1. K pairs stand first; then each key comes once more, after a gap.

std::int64_t values_of(const ProbeConfig& config) {
  return config.vocabulary - config.vocabulary / 2;
}

// Weights of the gaps, power (g + 1)^(power - 1), in units of 2^-40: whole numbers draw alike on
// every machine.
std::vector<std::uint64_t> gap_weights(double power, std::int64_t gaps) {
  std::vector<std::uint64_t> weights;
  for (std::int64_t g = 0; g < gaps; ++g)
    weights.push_back(
        std::uint64_t(std::nearbyint(power * std::pow(double(g + 1), power - 1) * 0x1p40)));
  return weights;
}

// Draws a gap and takes it out.
std::int64_t draw_gap(std::vector<std::uint64_t>& weights, Random& random) {
  const std::uint64_t sum = std::accumulate(weights.begin(), weights.end(), std::uint64_t(0));
  // There are at least as many gaps as pairs: NOLINTNEXTLINE(clang-analyzer-core.DivideZero)
  std::uint64_t rest = (random.next() >> 11) % sum;
  std::size_t gap = 0;
  while (rest >= weights[gap]) rest -= weights[gap++];
  weights[gap] = 0;
  return std::int64_t(gap);
}

void make_recall(const Task& task, Random& random, Draft& draft) {
  const std::int64_t V = task.config.vocabulary, K = task.config.pairs, T = task.length;
  const auto keys = random.choose(1, V / 2, K), values = random.choose(V / 2, V, K);
  for (std::int64_t i = 0; i < K; ++i) {
    draft.token(2 * i) = keys[std::size_t(i)];
    draft.token(2 * i + 1) = values[std::size_t(i)];
  }
  auto weights = gap_weights(task.config.power, (T - 2 * K) / 2);
  for (std::int64_t i = 0; i < K; ++i) {
    const std::int64_t t = 2 * K + 2 * draw_gap(weights, random);
    draft.token(t) = keys[std::size_t(i)];
    draft.ask(t, values[std::size_t(i)], 2 * i);
  }
  if (task.config.filler == ProbeFiller::zeros) return;
  for (std::int64_t t = 2 * K; t < T; ++t)
    if (!draft.asks(t)) draft.token(t) = std::int32_t(random.below(V));
}

std::string recall_problem(const ProbeConfig& config, std::int64_t length) {
  if (config.pairs > config.vocabulary / 2 - 1)
    return fmt::format("a vocabulary of {} has {} keys for {} pairs; write vocabulary: {} or more",
                       config.vocabulary, config.vocabulary / 2 - 1, config.pairs,
                       2 * config.pairs + 2);
  if (length < 4 * config.pairs)
    return fmt::format(
        "{} pairs and a question for each need {} tokens, not {}; lengthen it, or "
        "lower pairs",
        config.pairs, 4 * config.pairs, length);
  return "";
}

// ---- needle: keys and values strewn into filler, then one key. Ids: keys 1 .. V/4 - 1, values
// V/4 .. V/2 - 1, filler V/2 .. V - 1, 0 before the question.

void make_needle(const Task& task, Random& random, Draft& draft) {
  const std::int64_t V = task.config.vocabulary, K = task.config.pairs, T = task.length;
  const auto keys = random.choose(1, V / 4, K), values = random.choose(V / 4, V / 2, K);
  const auto places = random.choose(0, (T - 2) / 2, K);
  const auto asked = std::size_t(random.below(K));
  for (std::int64_t t = 0; t < T; ++t)
    draft.token(t) = std::int32_t(V / 2 + random.below(V - V / 2));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    draft.token(2 * places[i]) = keys[i];
    draft.token(2 * places[i] + 1) = values[i];
  }
  draft.token(T - 2) = 0;
  draft.token(T - 1) = keys[asked];
  draft.ask(T - 1, values[asked], 2 * places[asked]);
}

std::string needle_problem(const ProbeConfig& config, std::int64_t length) {
  if (config.pairs > config.vocabulary / 4 - 1)
    return fmt::format("a vocabulary of {} has {} keys for {} pairs; write vocabulary: {} or more",
                       config.vocabulary, config.vocabulary / 4 - 1, config.pairs,
                       4 * config.pairs + 4);
  if (length < 2 * config.pairs + 2)
    return fmt::format(
        "{} pairs and a question need {} tokens, not {}; lengthen it, or lower pairs", config.pairs,
        2 * config.pairs + 2, length);
  return "";
}

std::int64_t whole_vocabulary(const ProbeConfig& config) { return config.vocabulary; }

}  // namespace

const Kind associative_recall{
    .vocabulary = whole_vocabulary,
    .answers = values_of,
    .scored = [](const ProbeConfig& config, std::int64_t) { return config.pairs; },
    .problem = recall_problem,
    .make = make_recall,
    .parameters = " vocabulary pairs power filler "};
const Kind needle_retrieval{
    .vocabulary = whole_vocabulary,
    .answers = [](const ProbeConfig& c) { return c.vocabulary / 2 - c.vocabulary / 4; },
    .scored = [](const ProbeConfig&, std::int64_t) { return std::int64_t(1); },
    .problem = needle_problem,
    .make = make_needle,
    .parameters = " vocabulary pairs "};

}  // namespace metascale::probes
