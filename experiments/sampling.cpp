#include "experiments/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.hpp"
#include "core/random.hpp"

namespace metascale {
namespace {

struct Candidate {
  double weight;  // not normalised
  std::int32_t id;
};

std::int32_t most_likely(const std::vector<double>& logits) {
  return std::int32_t(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

std::int32_t sample(const std::vector<double>& logits, const Sampling& sampling,
                    std::uint64_t draw) {
  if (!(sampling.temperature >= 0) || !(sampling.top_p > 0 && sampling.top_p <= 1))
    throw Error(
        concat("temperature ", sampling.temperature, " and top_p ", sampling.top_p,
               " are no sampling; write a temperature from 0, and a top_p above 0 and at most 1"),
        ExitCode::usage);
  for (const double logit : logits)
    if (!std::isfinite(logit))
      throw Error("the model's logits are not finite; it diverged, or its file is damaged",
                  ExitCode::run_failed);
  if (sampling.temperature == 0) return most_likely(logits);

  const double top = *std::max_element(logits.begin(), logits.end());
  std::vector<Candidate> candidates;
  double total = 0;
  for (std::size_t id = 0; id < logits.size(); ++id) {
    candidates.push_back({std::exp((logits[id] - top) / sampling.temperature), std::int32_t(id)});
    total += candidates.back().weight;
  }
  if (sampling.top_p < 1) {
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.weight > b.weight; });
    double kept = 0;
    std::size_t count = 0;
    while (count < candidates.size() && kept < sampling.top_p * total)
      kept += candidates[count++].weight;
    candidates.resize(count);
    total = kept;
  }
  double left = total * RandomStream(sampling.seed, stream_of("sampling")).uniform(draw);
  for (const Candidate& candidate : candidates)
    if ((left -= candidate.weight) <= 0) return candidate.id;
  return candidates.back().id;  // rounding
}

}  // namespace metascale
