#include "analysis/exports/scalars.hpp"

namespace metascale {
namespace {

double start_of(const RunLog& log) {
  for (const Event& event : log.events)
    if (event.time > 0) return event.time;
  return 0;
}

ScalarRow row_of(const Evaluation& evaluation, double start, double runtime) {
  ScalarRow row{evaluation.step, start + runtime, runtime, {}};
  if (evaluation.tokens > 0) row.values.emplace_back(evaluation.split + "/loss", evaluation.loss());
  if (evaluation.bytes > 0)
    row.values.emplace_back(evaluation.split + "/bits_per_byte", evaluation.bits_per_byte());
  for (const DomainRow& domain : evaluation.domains)
    if (domain.tokens > 0)
      row.values.emplace_back(evaluation.split + "/domains/" + domain.domain,
                              domain.nats / double(domain.tokens));
  return row;
}

}  // namespace

void each_scalar_row(const RunLog& log, const std::function<void(const ScalarRow&)>& visit) {
  const double start = start_of(log);
  double runtime = 0;
  std::size_t evaluation = 0;
  const auto evaluations_before = [&](std::int64_t step) {
    for (; evaluation < log.evaluations.size() && log.evaluations[evaluation].step < step;
         ++evaluation)
      visit(row_of(log.evaluations[evaluation], start, runtime));
  };
  for (const StepRow& step : log.steps) {
    evaluations_before(step.step);
    runtime += step.seconds > 0 ? step.seconds : 0;
    visit({step.step,
           start + runtime,
           runtime,
           {{"train/loss", step.loss},
            {"train/learning_rate", step.learning_rate},
            {"train/gradient_norm", step.gradient_norm},
            {"train/tokens", double(step.tokens)},
            {"train/flops", step.flops},
            {"train/tokens_per_second", step.tokens_per_second}}});
  }
  evaluations_before(INT64_MAX);
}

}  // namespace metascale
