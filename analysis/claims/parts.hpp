// What the judges of single claims share.
#pragma once

#include <string>
#include <vector>

#include "analysis/report.hpp"

namespace metascale {

std::string share_text(double value);              // +1.24 %
std::string share_text(const Interval& interval);  // [+0.98, +1.51] %

// A pair seen from the subject's side: positive gain where the subject's loss is lower.
struct Comparison {
  const PairReport* pair;
  double sign;  // +1 if the subject is the pair's second arm

  double gain() const {  // relative to the other arm's loss
    return sign > 0 ? -pair->result.relative : pair->result.difference / pair->result.second_loss;
  }
  Interval interval() const {  // of the gain, with seeds
    const Interval& nats = pair->result.with_seeds;
    const double scale = sign > 0 ? -1 / pair->result.first_loss : 1 / pair->result.second_loss;
    return scale > 0 ? Interval{nats.low * scale, nats.high * scale}
                     : Interval{nats.high * scale, nats.low * scale};
  }
};
std::vector<Comparison> comparisons(const Report& report, const std::string& subject,
                                    const std::string& other);

// Not decided instead of holds or not, where a final evaluation covers a part of its split only.
void refuse_subsets(const Report& report, Claim& claim);

Claim judge_efficiency(const Report& report, Claim claim, const std::string& subject,
                       const std::string& other);
Claim judge_context(const Report& report, Claim claim);
Claim judge_tracking(const Report& report, Claim claim, const std::string& subject,
                     const std::string& other);
Claim judge_growing(const Report& report, Claim claim);

}  // namespace metascale
