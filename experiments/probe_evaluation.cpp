#include "experiments/probe_evaluation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>

#include "experiments/evaluation.hpp"

namespace metascale {
namespace {

constexpr std::int64_t comfortable_logits = std::int64_t(1) << 24;  // of one forward
constexpr std::int64_t most_rows = 64;

std::int64_t rows_of(std::int64_t length, std::int64_t vocabulary, std::int64_t examples) {
  const std::int64_t fitting = comfortable_logits / (length * vocabulary);
  return std::clamp<std::int64_t>(fitting, 1, std::min(most_rows, examples));
}

// One position's logits against its answer: nats, negative where the answer is wrong. (Nats are
// never negative; -0.0 does not occur, since a wrong answer has at least ln 2.)
double signed_nats(const Program& program, std::int64_t position, std::int64_t vocabulary,
                   std::int32_t answer) {
  double largest = program.logit(position * vocabulary);
  std::int64_t best = 0;
  for (std::int64_t id = 1; id < vocabulary; ++id)
    if (const double logit = program.logit(position * vocabulary + id); logit > largest)
      largest = logit, best = id;
  double sum = 0;
  for (std::int64_t id = 0; id < vocabulary; ++id)
    sum += std::exp(program.logit(position * vocabulary + id) - largest);
  const double nats = largest + std::log(sum) - program.logit(position * vocabulary + answer);
  return best == answer ? nats : -nats;
}

// All examples of one length, their answers in order.
class LengthTest {
 public:
  LengthTest(const RunConfig& config, std::int64_t length, std::int64_t examples,
             std::uint64_t seed, const Evaluator& with)
      : with_(with),
        examples_(examples),
        vocabulary_(config.model.vocabulary),
        batches_(config.data.probe.config, length, rows_of(length, vocabulary_, examples), seed),
        seed_(seed),
        program_(with.program(batches_.rows(), length)),
        said_(std::size_t(with.ranks.size() * batches_.rows() * length)) {}

  // body(index, example, answers) in the order of the examples; false if asked to stop.
  template <typename Body>
  bool for_each(const Body& body) {
    const std::int64_t B = batches_.rows(), R = with_.ranks.size();
    for (std::int64_t first = 0; first < examples_; first += R * B) {
      if (!with_.go_on()) return false;
      if (const std::int64_t mine = first + with_.ranks.rank() * B; mine < examples_) answer(mine);
      with_.ranks.all_gather(
          {.data = said_.data(), .shape = {std::int64_t(said_.size())}, .dtype = Dtype::f64});
      with_.ranks.wait();
      for (std::int64_t row = 0; row < std::min(R * B, examples_ - first); ++row)
        body(first + row,
             batches_.probe().example(batches_.length(), seed_, std::uint64_t(first + row)),
             answers_of(row));
    }
    return true;
  }
  std::uint64_t digest(std::uint64_t before) const {
    for (std::int64_t step = 0; step * batches_.rows() < examples_; ++step)
      before = batches_.digest(before, step);
    return before;
  }

 private:
  void answer(std::int64_t first) {
    const std::int64_t B = batches_.rows(), T = batches_.length();
    std::vector<float> weights(std::size_t(B * T));
    std::vector<std::int32_t> targets(std::size_t(B * T));
    batches_.fill(first, {.rows = B,
                          .context = T,
                          .tokens = program_.tokens(),
                          .targets = targets.data(),
                          .weights = weights.data()});
    program_.execute(with_.queue);
    double* said = said_.data() + with_.ranks.rank() * B * T;
    for (std::int64_t i = 0; i < B * T; ++i)
      if (weights[std::size_t(i)] > 0)
        said[i] = signed_nats(program_, i, vocabulary_, targets[std::size_t(i)]);
  }
  ProbeAnswers answers_of(std::int64_t row) const {
    ProbeAnswers answers;
    for (std::int64_t t = 0; t < batches_.length(); ++t) {
      const double said = said_[std::size_t(row * batches_.length() + t)];
      answers.correct.push_back(!std::signbit(said));
      answers.nats.push_back(std::abs(said));
    }
    return answers;
  }

  const Evaluator& with_;
  std::int64_t examples_, vocabulary_;
  ProbeBatches batches_;
  std::uint64_t seed_;
  Program& program_;
  std::vector<double> said_;  // (R, B, T) signed nats
};

// The evaluation's own totals, by the trained length.
void add_to_totals(Evaluation& result, std::int64_t index, const ProbeExample& example,
                   const ProbeAnswers& answers) {
  SegmentRow segment{.window = index, .document = index};
  for (std::size_t t = 0; t < example.answers.size(); ++t) {
    if (example.answers[t] < 0) continue;
    segment.tokens += 1;
    segment.nats += answers.nats[t];
    PositionRow& bin = result.positions[std::size_t(std::bit_width(t))];
    bin.tokens += 1;
    bin.nats += answers.nats[t];
  }
  result.tokens += segment.tokens;
  result.nats += segment.nats;
  result.segments.push_back(segment);
}

}  // namespace

ProbeScore::ProbeScore(std::int64_t length) {
  for (const PositionRow& bin : position_bins(length))
    rows_.push_back({.length = length, .first = bin.first, .last = bin.last});
}

void ProbeScore::add(const ProbeExample& example, const ProbeAnswers& answers) {
  std::vector<std::int64_t> asked(rows_.size()), wrong(rows_.size());
  for (std::size_t t = 0; t < example.answers.size(); ++t) {
    if (example.answers[t] < 0) continue;
    const auto bin = std::size_t(std::bit_width(std::uint64_t(example.distances[t])));
    asked[bin] += 1;
    wrong[bin] += answers.correct[t] ? 0 : 1;
    rows_[bin].nats += answers.nats[t];
  }
  std::int64_t asked_so_far = 0, wrong_so_far = 0;
  for (std::size_t bin = 0; bin < rows_.size(); ++bin) {
    asked_so_far += asked[bin], wrong_so_far += wrong[bin];
    rows_[bin].scored += asked[bin];
    rows_[bin].correct += asked[bin] - wrong[bin];
    rows_[bin].examples += asked_so_far > 0 ? 1 : 0;
    rows_[bin].solved += asked_so_far > 0 && wrong_so_far == 0 ? 1 : 0;
  }
}

std::vector<ProbeTest> probe_tests(const RunConfig& config) {
  const ProbeSettings& probe = config.data.probe;
  const std::int64_t context = config.training.context, fewer = config.evaluation.windows;
  const auto test_of = [&](std::int64_t length, std::int64_t examples) {
    return ProbeTest{.length = length, .rows = rows_of(length, config.model.vocabulary, examples)};
  };
  std::vector<ProbeTest> tests;
  for (const std::int64_t length : tested_lengths(probe, context))
    tests.push_back(test_of(length, probe.examples));
  if (const ProbeTest periodic = test_of(context, fewer > 0 ? fewer : probe.examples);
      std::find(tests.begin(), tests.end(), periodic) == tests.end())
    tests.push_back(periodic);
  return tests;
}

std::optional<Evaluation> evaluate_probe(const RunConfig& config,
                                         const std::vector<std::int64_t>& lengths,
                                         std::int64_t examples, std::uint64_t seed,
                                         const Evaluator& with) {
  const auto start = std::chrono::steady_clock::now();
  const std::int64_t context = config.training.context;
  Evaluation result{.protocol = "probe", .coverage = "all", .positions = position_bins(context)};
  for (const std::int64_t length : lengths) {
    LengthTest test(config, length, examples, seed, with);
    ProbeScore score(length);
    const bool is_through =
        test.for_each([&](std::int64_t index, const auto& example, const auto& said) {
          score.add(example, said);
          if (length == context) add_to_totals(result, index, example, said);
        });
    if (!is_through) return std::nullopt;
    result.probes.insert(result.probes.end(), score.rows().begin(), score.rows().end());
    result.digest = test.digest(result.digest);
  }
  result.domains = {{name_of(config.data.probe.config.task), result.tokens, 0, result.nats}};
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace metascale
