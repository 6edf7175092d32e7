// What the judges of single claims share.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "analysis/report.hpp"
#include "analysis/support/random.hpp"

namespace metascale {

std::string share_text(double value);              // +1.24 %
std::string share_text(const Interval& interval);  // [+0.98, +1.51] %

// A mean over seeds and what its error is drawn from: Student's t with the seeds' own spread, or,
// of one seed, a normal with a known deviation.
struct SeedMean {
  double value = __builtin_nan("");
  double error = 0;          // of the mean: one standard error
  std::int64_t degrees = 0;  // of freedom; 0: normal

  double draw(CounterRandom& random) const {
    return value + error * (degrees > 0 ? random.student_t(degrees) : random.normal());
  }
};
// values: at least one; known_deviation: of one value, used where there is only one.
SeedMean mean_over_seeds(std::span<const double> values, double known_deviation);

// A pair seen from the subject's side: positive gain where the subject's loss is lower.
struct Comparison {
  const PairReport* pair;
  double sign;  // +1 if the subject is the pair's second arm

  // Nats of the pair's difference, as a gain relative to the other arm's loss.
  double share(double nats) const {
    return -sign * nats / (sign > 0 ? pair->result.first_loss : pair->result.second_loss);
  }
  double gain() const { return share(pair->result.difference); }
  Interval interval() const {  // of the gain, with seeds
    const Interval& nats = pair->result.with_seeds;
    return sign > 0 ? Interval{share(nats.high), share(nats.low)}
                    : Interval{share(nats.low), share(nats.high)};
  }
  // Runs of the subject and of the other arm, seed by seed.
  const std::vector<const Run*>& mine() const {
    return sign > 0 ? pair->pair->second : pair->pair->first;
  }
  const std::vector<const Run*>& theirs() const {
    return sign > 0 ? pair->pair->first : pair->pair->second;
  }
};
// A number of this comparison, for its arms, size, length and runs.
ClaimValue value_of(const Comparison& comparison, const char* measure, double value,
                    const Interval& interval);
std::vector<Comparison> comparisons(const Report& report, const std::string& subject,
                                    const std::string& other);

using Place = std::pair<std::string, std::string>;  // size and length
Place place_of(const Comparison& comparison);
std::string words_of(const Place& place);
// Where the arm has a run on a text, done or not.
std::set<Place> places_of(const Report& report, const std::string& arm);
// Sizes and lengths at which both arms have a run, done or not, and that are not among the judged.
std::size_t places_missing(const Report& report, const std::string& subject,
                           const std::string& other, const std::set<Place>& judged);
// What would decide a claim that all judged places are for: pairs at the others.
std::string words_of_missing(std::size_t missing);

// What a model reads beside its time mix: state, time_mix or none. Old logs lack the fact; the
// arm's name must do there.
std::string read_out_of(const Run& run);

// Settings of the layer that are not the published ones, in words: "rho 0.5", "read_state current".
std::vector<std::string> ablations_of(const Run& run);

// Not decided instead of holds or not, where a final evaluation covers a part of its split only.
void refuse_subsets(const Report& report, Claim& claim);

// The arms that an explanation of the gain over the Transformer goes through; empty: there is none.
struct GainPath {
  std::string transformer, plain, shortcut, subject;
};

// Whose recall is compared with whose; empty: there is none.
struct RecallArms {
  std::string subject, transformer, plain;
};

Claim judge_efficiency(const Report& report, Claim claim, const std::string& subject,
                       const std::string& other);
Claim judge_context(const Report& report, Claim claim);
Claim judge_tracking(const Report& report, Claim claim, const std::string& subject,
                     const std::string& other);
Claim judge_recall(const Report& report, Claim claim, const RecallArms& arms);
Claim judge_growing(const Report& report, Claim claim);
Claim judge_parts(const Report& report, Claim claim, const GainPath& path);

}  // namespace metascale
