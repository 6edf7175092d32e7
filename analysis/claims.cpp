#include "analysis/claims.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "analysis/claims/parts.hpp"
#include "analysis/report.hpp"
#include "analysis/support/random.hpp"
#include "analysis/support/text.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

constexpr std::int64_t short_context = 128;  // positions below this are "short context"
constexpr std::size_t fewest_for_slope = 3;  // sizes

// An arm by its model: the first run that logged one speaks for it.
const Run* run_of_arm(const Report& report, const std::string& arm) {
  if (!report.collection.is_published(arm)) return nullptr;
  for (const Run& run : report.collection.runs)
    if (run.arm == arm && !run.architecture.empty()) return &run;
  return nullptr;
}

std::vector<std::string> meta_state_arms(const Report& report, const std::string& read_out) {
  std::vector<std::string> arms;
  for (const std::string& arm : report.collection.arms)
    if (const Run* run = run_of_arm(report, arm))
      if (run->architecture == "meta_state" && read_out_of(*run) == read_out) arms.push_back(arm);
  return arms;
}

// The arm that the claims are about: it reads the state, and has the fewest settings that are
// ablated; the first of equals.
std::string subject_of(const Report& report) {
  const std::vector<std::string> arms = meta_state_arms(report, "state");
  const auto ablated = [&](const std::string& arm) {
    return ablations_of(*run_of_arm(report, arm)).size();
  };
  const auto least = std::min_element(arms.begin(), arms.end(), [&](const auto& a, const auto& b) {
    return ablated(a) < ablated(b);
  });
  return least == arms.end() ? "" : *least;
}

// Says of each claim that was judged by an ablation of the layer that it was.
void name_ablations(const Report& report, const std::string& subject, std::vector<Claim>& claims) {
  const auto settings =
      subject.empty() ? std::vector<std::string>{} : ablations_of(*run_of_arm(report, subject));
  if (settings.empty()) return;
  for (Claim& claim : claims)
    if (std::any_of(claim.values.begin(), claim.values.end(), [&](const ClaimValue& value) {
          return value.arm == subject || value.against == subject;
        }))
      claim.text +=
          fmt::format(" (judged by the ablation {}: {})", subject, fmt::join(settings, ", "));
}

const Run* run_of_architecture(const Report& report, const std::vector<std::string>& wanted) {
  for (const std::string& architecture : wanted)
    for (const std::string& arm : report.collection.arms)
      if (const Run* run = run_of_arm(report, arm); run && run->architecture == architecture)
        return run;
  return nullptr;
}

std::string arm_of(const Report& report, const std::vector<std::string>& architectures) {
  const Run* run = run_of_architecture(report, architectures);
  return run == nullptr ? "" : run->arm;
}

// An arm of the sweep, and what to call one where it has none.
struct Arm {
  std::string name;
  const char* kind;

  std::string words() const { return name.empty() ? kind : name; }
};

Claim judge_below(const Report& report, Claim claim, const Arm& subject, const Arm& other) {
  const auto found = comparisons(report, subject.name, other.name);
  claim.would_decide = fmt::format("a matched pair of {} and {}", subject.words(), other.words());
  if (found.empty()) return claim;
  int better = 0, worse = 0;
  std::set<Place> judged;
  for (const Comparison& comparison : found) {
    judged.insert(place_of(comparison));
    const Interval interval = comparison.interval();
    better += interval.low > 0 ? 1 : 0;
    worse += interval.high < 0 ? 1 : 0;
    claim.evidence.push_back({words_of(place_of(comparison)),
                              share_text(comparison.gain()) + " " + share_text(interval)});
    claim.values.push_back(value_of(comparison, "relative_gain", comparison.gain(), interval));
  }
  claim.measure = fmt::format("Loss of {} below that of {} by", subject.name, other.name);
  const bool all_better = better == int(found.size());
  const std::size_t missing = places_missing(report, subject.name, other.name, judged);
  claim.verdict = worse > 0                    ? Verdict::does_not_hold
                  : all_better && missing == 0 ? Verdict::holds
                                               : Verdict::not_decided;
  if (claim.verdict != Verdict::not_decided)
    claim.would_decide.clear();
  else if (all_better)
    claim.would_decide = words_of_missing(missing);
  else
    claim.would_decide = "more seeds at the sizes whose interval contains 0";
  refuse_subsets(report, claim);
  return claim;
}

double slope(const std::vector<double>& x, const std::vector<double>& y) {
  double mean_x = 0, mean_y = 0, above = 0, below = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    mean_x += x[i] / double(x.size()), mean_y += y[i] / double(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    above += (x[i] - mean_x) * (y[i] - mean_y), below += (x[i] - mean_x) * (x[i] - mean_x);
  return above / below;
}

// Slope of the relative gain against ln N, over the sizes of one length; draws share documents.
struct GainSlope {
  double value = 0;
  Interval interval;
  std::size_t sizes = 0;
  std::string runs = {};
};
GainSlope gain_slope(const std::vector<Comparison>& found, const std::string& length,
                     double confidence) {
  std::vector<double> x, y;
  std::vector<const Comparison*> used;
  std::string runs;
  for (const Comparison& comparison : found) {
    if (comparison.pair->pair->length != length || comparison.pair->first == nullptr) continue;
    x.push_back(std::log(comparison.pair->first->parameters));
    y.push_back(comparison.gain());
    used.push_back(&comparison);
    runs += (runs.empty() ? "" : " ") + run_list(comparison.mine()) + " " +
            run_list(comparison.theirs());
  }
  GainSlope result{0, {}, std::set<double>(x.begin(), x.end()).size(), runs};
  if (result.sizes < 2) return result;
  result.value = slope(x, y);
  std::vector<double> draws;
  for (std::size_t draw = 0; draw < used.front()->pair->result.draws.size(); ++draw) {
    for (std::size_t i = 0; i < used.size(); ++i)
      y[i] = used[i]->share(used[i]->pair->result.draws[draw]);
    draws.push_back(slope(x, y));
  }
  result.interval = percentile_interval(std::move(draws), confidence);
  return result;
}

Claim judge_growth(const Report& report, Claim claim, const std::string& subject,
                   const std::string& other) {
  const auto found = comparisons(report, subject, other);
  claim.would_decide = "matched pairs at three sizes or more";
  int growing = 0, shrinking = 0, slopes = 0;
  for (const std::string& length : report.lengths()) {
    const GainSlope fitted = gain_slope(found, length, report.confidence);
    if (fitted.sizes < 2) continue;
    claim.evidence.push_back({fmt::format("{}, {} sizes", length_words(length), fitted.sizes),
                              share_text(fitted.value) + " " + share_text(fitted.interval)});
    claim.values.push_back({subject, other, "", length, "slope_of_relative_gain_in_ln_parameters",
                            fitted.value, fitted.interval, fitted.runs});
    if (fitted.sizes < fewest_for_slope) continue;
    ++slopes;
    growing += fitted.interval.low > 0 ? 1 : 0;
    shrinking += fitted.interval.high < 0 ? 1 : 0;
  }
  if (claim.evidence.empty()) return claim;
  claim.measure = "Slope of the relative gain per factor e of parameters";
  claim.verdict = Verdict::not_decided;
  if (slopes == 0) return claim;
  claim.would_decide = "more sizes or seeds, until the slope's interval excludes 0";
  if (growing == slopes) claim.verdict = Verdict::holds;
  if (shrinking > 0) claim.verdict = Verdict::does_not_hold;
  if (claim.verdict != Verdict::not_decided) claim.would_decide.clear();
  refuse_subsets(report, claim);
  return claim;
}

// Nats per token at positions below short_context; NaN if the log has no such bins.
double early_loss(const Run& run) {
  double nats = 0, tokens = 0;
  for (const PositionRow& row : run.final_evaluation()->positions)
    if (row.last < short_context) nats += row.nats, tokens += double(row.tokens);
  return nats / tokens;
}

// Whether the run was evaluated at positions beyond the short ones too: else the loss there is the
// loss of claim (a) again.
bool sees_further(const Run& run) {
  const auto& rows = run.final_evaluation()->positions;
  return std::any_of(rows.begin(), rows.end(), [](const PositionRow& row) {
    return row.last >= short_context && row.tokens > 0;
  });
}

Interval seed_interval(const SeedMean& gain, double confidence) {
  CounterRandom random(1, 1);
  std::vector<double> draws(20000);
  for (double& draw : draws) draw = gain.draw(random);
  return percentile_interval(std::move(draws), confidence);
}

Claim judge_short_context(const Report& report, Claim claim, const std::string& subject,
                          const std::string& other) {
  claim.would_decide = "final evaluations with loss by position, over more seeds";
  int better = 0, worse = 0, shown = 0;
  std::set<Place> judged;
  for (const Comparison& comparison : comparisons(report, subject, other)) {
    std::vector<double> gains;
    for (std::size_t i = 0; i < comparison.mine().size(); ++i)
      gains.push_back(1 - early_loss(*comparison.mine()[i]) / early_loss(*comparison.theirs()[i]));
    const SeedMean gain = mean_over_seeds(gains, report.seed_deviation * std::sqrt(2.0));
    if (!std::isfinite(gain.value)) continue;
    const Interval interval = seed_interval(gain, report.confidence);
    ++shown;
    if (sees_further(*comparison.mine().front())) {
      judged.insert(place_of(comparison));
      better += interval.low > 0 ? 1 : 0, worse += interval.high < 0 ? 1 : 0;
    }
    claim.evidence.push_back(
        {words_of(place_of(comparison)), share_text(gain.value) + " " + share_text(interval)});
    claim.values.push_back(
        value_of(comparison, "relative_gain_in_short_context", gain.value, interval));
  }
  if (shown == 0) return claim;
  claim.measure =
      fmt::format("Loss at positions below {} lower by (intervals over seeds)", short_context);
  const bool all_better = !judged.empty() && better == int(judged.size());
  const std::size_t missing = places_missing(report, subject, other, judged);
  claim.verdict = worse > 0                    ? Verdict::does_not_hold
                  : all_better && missing == 0 ? Verdict::holds
                                               : Verdict::not_decided;
  if (claim.verdict != Verdict::not_decided)
    claim.would_decide.clear();
  else if (judged.empty())
    claim.would_decide = fmt::format(
        "contexts of more than {} tokens: without them this is claim (a) again", short_context);
  else if (all_better)
    claim.would_decide =
        fmt::format("{}, scored behind position {}, too", words_of_missing(missing), short_context);
  refuse_subsets(report, claim);
  return claim;
}

// RWKV-7, or the Meta-State layer that reads nothing, which is the same model.
std::string plain_arm(const Report& report) {
  const std::string plain = arm_of(report, {"rwkv7"});
  const std::vector<std::string> none = meta_state_arms(report, "none");
  return plain.empty() && !none.empty() ? none.front() : plain;
}

// What the gain is made of; each claim that goes through a time_mix control once per such arm.
void add_explanations(const Report& report, const Arm& subject, const Arm& transformer,
                      std::vector<Claim>& claims) {
  const Arm plain{plain_arm(report), "RWKV-7"};
  std::vector<std::string> controls = meta_state_arms(report, "time_mix");
  if (controls.empty()) controls.emplace_back();
  const auto of_each = [&](const char* letter, const char* text, const auto& judge) {
    for (const std::string& control : controls)
      claims.push_back(judge(
          Claim{letter, concat("Explanation: ", text, control.empty() ? "" : " (" + control + ")")},
          Arm{control, "an arm with read_out time_mix"}));
  };
  claims.push_back(judge_below(report,
                               {"h", "Explanation: RWKV-7 alone is already below the Transformer"},
                               plain, transformer));
  claims.push_back(judge_below(report, {"i", "Explanation: the Meta-State layer adds to RWKV-7"},
                               subject, plain));
  of_each("j", "the state's read-out beats the time_mix control", [&](Claim claim, const Arm& arm) {
    return judge_below(report, std::move(claim), subject, arm);
  });
  of_each("k", "the shortcut of the time_mix control adds to RWKV-7",
          [&](Claim claim, const Arm& arm) {
            return judge_below(report, std::move(claim), arm, plain);
          });
  of_each("l", "RWKV-7, the shortcut and the read-out each add to the gain over the Transformer",
          [&](Claim claim, const Arm& arm) {
            return judge_parts(report, std::move(claim),
                               {transformer.name, plain.name, arm.name, subject.name});
          });
}

}  // namespace

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::holds: return "holds";
    case Verdict::does_not_hold: return "does_not_hold";
    case Verdict::not_decided: return "not_decided";
    case Verdict::no_data: return "no_data";
  }
  return "?";
}

const char* words_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::holds: return "holds";
    case Verdict::does_not_hold: return "does not hold";
    case Verdict::not_decided: return "not decided";
    case Verdict::no_data: return "no data";
  }
  return "?";
}

std::string Claim::evidence_text() const {
  std::string text;
  for (const Evidence& entry : evidence)
    text += (text.empty() ? measure + ": " : "; ") + entry.where + " " + entry.value;
  return text;
}

bool covers_all(const Report& report) {
  return std::all_of(report.cells.begin(), report.cells.end(), [](const Cell& cell) {
    return std::all_of(cell.runs.begin(), cell.runs.end(),
                       [](const Run* run) { return run->final_evaluation()->coverage == "all"; });
  });
}

std::vector<Claim> judge_claims(const Report& report) {
  const Arm subject{subject_of(report), "a meta_state arm"};
  const Arm transformer{arm_of(report, {"transformer", "transformer_pp"}), "a Transformer"};
  // Without either arm no size and no seed would decide these.
  const auto with_both = [&](Claim claim) {
    if (subject.name.empty() || transformer.name.empty())
      claim.would_decide =
          fmt::format("matched pairs of {} and {}", subject.words(), transformer.words());
    return claim;
  };
  std::vector<Claim> claims;
  claims.push_back(
      judge_below(report, {"a", "Meta-State has lower loss than the Transformer at every size"},
                  subject, transformer));
  claims.push_back(with_both(judge_growth(report, {"b", "The relative gain grows with scale"},
                                          subject.name, transformer.name)));
  claims.push_back(
      judge_context(report, {"c", "Cost is linear and memory constant in context length"}));
  claims.push_back(judge_tracking(report,
                                  {"d", "The state tracks what attention of fixed depth cannot"},
                                  subject.name, transformer.name));
  claims.push_back(judge_growing(report, {"e", "Models grow without being retrained"}));
  claims.push_back(with_both(
      judge_short_context(report, {"f", "The gain is there in short context (positions below 128)"},
                          subject.name, transformer.name)));
  claims.push_back(with_both(judge_efficiency(
      report, {"g", "Efficiency: lower loss at equal FLOPs and at equal device-hours"},
      subject.name, transformer.name)));
  add_explanations(report, subject, transformer, claims);
  claims.push_back(judge_recall(
      report, {"m", "Question, not the paper's: Meta-State recalls as well as the Transformer"},
      {subject.name, transformer.name, plain_arm(report)}));
  name_ablations(report, subject.name, claims);
  return claims;
}

}  // namespace metascale
