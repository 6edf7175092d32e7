#include "experiments/matching.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "experiments/config_tables.hpp"
#include "experiments/plan.hpp"

namespace metascale {
namespace {

// The matched quantity is a straight line in the feed-forward width.
struct Line {
  double at_zero = 0, slope = 0;
};

Line line_of(ModelConfig model, const MatchRequest& request) {
  model.feed_forward = 0;
  const double at_zero = matched_value(model, request.on, request.context);
  model.feed_forward = 1;
  return {at_zero, matched_value(model, request.on, request.context) - at_zero};
}

std::int64_t nearest_width(const Line& line, double target, std::int64_t step) {
  const double steps = std::round((target - line.at_zero) / line.slope / double(step));
  return std::max<std::int64_t>(step, step * std::int64_t(steps));
}

// Which arms share one width: recurrent ones of the same shape.
std::vector<std::size_t> family_of(const std::vector<MatchArm>& arms, std::size_t index) {
  const auto shape = [](const ModelConfig& model) {
    const LowRanks rank = low_ranks(model);
    return std::vector<std::int64_t>{model.layers, model.width, model.head_size, head_count(model),
                                     rank.decay,   rank.rate,   rank.value,      rank.gate};
  };
  std::vector<std::size_t> family;
  for (std::size_t i = 0; i < arms.size(); ++i)
    if (i == index || (is_recurrent(arms[i].model) && is_recurrent(arms[index].model) &&
                       shape(arms[i].model) == shape(arms[index].model)))
      family.push_back(i);
  return family;
}

enum class Sharing { families, none };

// That of the arm itself; else the baseline's, where it is one of the family; 0: none is given. One
// that another arm was given for itself is that arm's alone.
std::int64_t given_width(const std::vector<MatchArm>& arms, std::size_t index,
                         const std::vector<std::size_t>& family) {
  const std::int64_t own = arms[index].model.feed_forward;
  return own || family.front() != 0 ? own : arms[0].model.feed_forward;
}

MatchResult solve(const std::vector<MatchArm>& arms, const MatchRequest& request, std::int64_t step,
                  Sharing sharing) {
  MatchResult result{.step = step};
  for (std::size_t i = 0; i < arms.size(); ++i) {
    Line mean;
    const bool shares = sharing == Sharing::families && !arms[i].model.feed_forward;
    const auto family = shares ? family_of(arms, i) : std::vector{i};
    for (const std::size_t member : family) {
      const Line line = line_of(arms[member].model, request);
      mean.at_zero += line.at_zero / double(family.size());
      mean.slope += line.slope / double(family.size());
    }
    ModelConfig model = arms[i].model;
    model.feed_forward = given_width(arms, i, family);
    if (!model.feed_forward) model.feed_forward = nearest_width(mean, request.target, step);
    result.values.push_back(matched_value(model, request.on, request.context));
    result.models.push_back(model);
  }
  return result;
}

bool is_within(const MatchResult& result, const MatchRequest& request) {
  const double allowed = request.tolerance * request.target;
  const auto [least, most] = std::minmax_element(result.values.begin(), result.values.end());
  return *most - *least <= allowed && std::abs(*least - request.target) <= allowed &&
         std::abs(*most - request.target) <= allowed;
}

std::optional<MatchResult> first_within(const std::vector<MatchArm>& arms,
                                        const MatchRequest& request,
                                        const std::vector<std::int64_t>& steps) {
  for (const std::int64_t step : steps)
    for (const Sharing sharing : {Sharing::families, Sharing::none})
      if (MatchResult result = solve(arms, request, step, sharing); is_within(result, request))
        return result;
  return std::nullopt;
}

std::string percent(double fraction) { return fmt::format("{:.4g}%", 100 * fraction); }

// The tolerance that would do, rounded up to two digits.
double rounded_up(double fraction) {
  const double unit = std::pow(10, std::floor(std::log10(fraction)) - 1);
  return std::ceil(fraction / unit * (1 - 1e-12)) * unit;
}

Error cannot_match(const std::vector<MatchArm>& arms, const MatchRequest& request,
                   const MatchResult& best) {
  std::size_t worst = 0, low = 0, high = 0;
  const auto miss = [&](std::size_t i) { return std::abs(best.values[i] - request.target); };
  for (std::size_t i = 1; i < arms.size(); ++i) {
    if (miss(i) > miss(worst)) worst = i;
    if (best.values[i] < best.values[low]) low = i;
    if (best.values[i] > best.values[high]) high = i;
  }
  const double spread = best.values[high] - best.values[low];
  const double needed = std::max(miss(worst), spread) / request.target;
  const std::string what =
      miss(worst) > request.tolerance * request.target
          ? fmt::format(
                "the nearest possible for arm '{}' is feed_forward {} with {:.0f} {} ({:+.4f}% of "
                "the "
                "target {:.0f})",
                arms[worst].name, best.models[worst].feed_forward, best.values[worst],
                name_of(request.on), 100 * (best.values[worst] / request.target - 1),
                request.target)
          : fmt::format(
                "the nearest possible for '{}' and '{}' is {:.0f} and {:.0f} {}, {:.4f}% of the "
                "target "
                "{:.0f} apart",
                arms[low].name, arms[high].name, best.values[low], best.values[high],
                name_of(request.on), 100 * spread / request.target, request.target);
  const double enough = rounded_up(needed);
  const std::string advice = enough <= most_match_tolerance
                                 ? fmt::format("allow a tolerance of {}, or ", percent(enough))
                                 : std::string();
  return Error(fmt::format("the arms cannot be matched within {}: {}; {}change the target, the "
                           "width or the layers",
                           percent(request.tolerance), what, advice),
               ExitCode::usage);
}

}  // namespace

const char* name_of(MatchOn on) { return name_in(match_on_names, on); }

double matched_value(const ModelConfig& model, MatchOn on, std::int64_t context) {
  const ModelCounts counts = count_model(model, context);
  switch (on) {
    case MatchOn::parameters: return double(counts.parameters);
    case MatchOn::non_embedding_parameters: return double(counts.non_embedding_parameters);
    case MatchOn::flops_per_token:
    case MatchOn::training_flops: return counts.flops_per_token;
  }
  return 0;
}

MatchResult match_arms(const std::vector<MatchArm>& arms, const MatchRequest& request) {
  const std::vector<std::int64_t> steps = request.step
                                              ? std::vector<std::int64_t>{request.step}
                                              : std::vector<std::int64_t>{64, 32, 16, 8, 4, 2, 1};
  if (auto result = first_within(arms, request, steps)) return *std::move(result);
  throw cannot_match(arms, request, solve(arms, request, steps.back(), Sharing::none));
}

}  // namespace metascale
