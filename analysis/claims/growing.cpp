// Claim (e): a grown Meta-State model against one of its shape from scratch, at equal compute of
// the whole lineage (total) and at equal compute since the last growth (added), over all seeds.
// Other models that grew are shown beside it and decide nothing.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/claims/parts.hpp"
#include "analysis/support/text.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

constexpr double alike = 0.05;  // relative difference of parameters, at most
constexpr const char* alike_compute = "5%";

// The grown runs of an arm at one size and length beside their partners, seed by seed.
struct Group {
  std::string arm, size, length;
  ScratchCompute compute = ScratchCompute::total;
  bool decides = false;  // it is Meta-State
  std::vector<const Run*> grown, scratch;
  std::vector<std::string> refused;  // runs that are not compared, and why
};

bool takes_part(const Report& report, const Run& run) {
  return run.is_compared() && !run.is_probe() && report.collection.is_published(run.arm);
}

bool same_shape(const Run& grown, const Run& scratch) {
  for (const char* key :
       {"architecture", "read_out", "read_state", "layers", "width", "head_size", "feed_forward"})
    if (grown.fact(key) != scratch.fact(key)) return false;
  return read_out_of(grown) == read_out_of(scratch);
}

std::vector<std::string> reasons_against(const Run& scratch, const Run& grown,
                                         ScratchCompute compute) {
  std::vector<std::string> reasons;
  for (const Run* run : {&scratch, &grown})
    if (run->state != RunState::done)
      reasons.push_back(concat(run->id, " is ", name_of(run->state)));
  if (!reasons.empty()) return reasons;
  reasons = growth_mismatches(scratch, grown, compute, alike_compute);
  const double own = scratch.number("parameters").value_or(std::nan("")),
               other = grown.number("parameters").value_or(std::nan(""));
  if (!(std::abs(own / other - 1) <= alike))
    reasons.push_back(fmt::format("{} parameters and {}", own, other));
  return reasons;
}

using Partner = std::pair<const Run*, ScratchCompute>;

// Those whose logs name the grown run; where none does, by what they are: of its shape and seed,
// and comparable with it.
std::vector<Partner> partners_of(const Report& report, const Run& grown) {
  std::vector<Partner> partners;
  for (const Run& run : report.collection.runs)
    if (takes_part(report, run) && run.fact("scratch_partner_of") == grown.id)
      partners.emplace_back(&run, scratch_compute_of(run));
  std::ranges::stable_sort(partners, {}, &Partner::second);
  if (!partners.empty()) return partners;
  for (const ScratchCompute compute : {ScratchCompute::total, ScratchCompute::added})
    for (const Run& run : report.collection.runs)
      if (takes_part(report, run) && !is_grown(run) && run.seed == grown.seed &&
          same_shape(grown, run) && reasons_against(run, grown, compute).empty()) {
        partners.emplace_back(&run, compute);
        break;
      }
  return partners;
}

Group& group_of(std::vector<Group>& groups, const Run& grown, ScratchCompute compute) {
  const auto found = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
    return group.arm == grown.arm && group.size == grown.size && group.length == grown.length &&
           group.compute == compute;
  });
  if (found != groups.end()) return *found;
  const bool decides = grown.architecture == "meta_state" && read_out_of(grown) == "state";
  groups.push_back({grown.arm, grown.size, grown.length, compute, decides, {}, {}, {}});
  return groups.back();
}

// Those that decide first.
std::vector<Group> groups_of(const Report& report) {
  std::vector<Group> groups;
  for (const Run& grown : report.collection.runs) {
    if (!takes_part(report, grown) || !is_grown(grown)) continue;
    for (const auto& [scratch, compute] : partners_of(report, grown)) {
      Group& group = group_of(groups, grown, compute);
      const std::vector<std::string> reasons = reasons_against(*scratch, grown, compute);
      if (reasons.empty())
        group.grown.push_back(&grown), group.scratch.push_back(scratch);
      else
        group.refused.push_back(
            fmt::format("{} and {}: {}", scratch->id, grown.id, joined(reasons)));
    }
  }
  std::stable_partition(groups.begin(), groups.end(), [](const Group& one) { return one.decides; });
  return groups;
}

std::string words_of(const Group& group) {
  const std::size_t seeds = group.grown.size();
  return fmt::format("{}{} {} {}, equal {} compute, {} seed{}",
                     group.decides ? "" : "beside it: ", group.arm, group.size,
                     length_words(group.length),
                     group.compute == ScratchCompute::total ? "total" : "additional", seeds,
                     seeds == 1 ? "" : "s");
}

// The interval of the gain; unknown where the group holds no comparable seed. Appends the evidence.
Interval judge_group(Group& group, std::uint64_t number, const Report& report, Claim& claim) {
  Interval gain;
  std::string value;
  try {
    std::vector<PairedSeed> seeds;
    for (std::size_t i = 0; i < group.grown.size(); ++i)
      seeds.push_back(join_documents(group.scratch[i]->documents, group.grown[i]->documents));
    if (!seeds.empty()) {
      const PairedResult result =
          paired_difference(seeds, {.cell = number,
                                    .confidence = report.confidence,
                                    .seed_deviation = report.seed_deviation});
      gain = {-result.with_seeds.high / result.first_loss,
              -result.with_seeds.low / result.first_loss};
      value = share_text(-result.relative) + " " + share_text(gain);
      claim.values.push_back(
          {group.arm, group.scratch.front()->arm, group.size, group.length,
           group.compute == ScratchCompute::total ? "relative_gain_at_equal_total_compute"
                                                  : "relative_gain_at_equal_additional_compute",
           -result.relative, gain, run_list(group.grown) + " " + run_list(group.scratch)});
    }
  } catch (const Error& error) {
    group.refused.push_back(error.what());
  }
  if (!group.refused.empty())
    value += (value.empty() ? "" : "; ") +
             fmt::format("{} not comparable, because {}", group.refused.size(), group.refused[0]);
  claim.evidence.push_back({words_of(group), value});
  return gain;
}

}  // namespace

Claim judge_growing(const Report& report, Claim claim) {
  claim.would_decide = "grown runs of a meta_state arm beside runs from scratch at equal compute";
  int better = 0, worse = 0, judged = 0, at_total = 0, unknown = 0;
  std::vector<Group> groups = groups_of(report);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const Interval gain = judge_group(groups[i], i + 1, report, claim);
    if (!groups[i].decides) continue;
    unknown += gain.known() ? 0 : 1;
    judged += gain.known() ? 1 : 0;
    at_total += gain.known() && groups[i].compute == ScratchCompute::total ? 1 : 0;
    better += gain.low > 0 ? 1 : 0, worse += gain.high < 0 ? 1 : 0;
  }
  claim.measure = "Loss of grown runs below that of runs from scratch by";
  if (judged == 0) return claim;
  const bool holds = better == judged && unknown == 0 && at_total > 0;
  claim.verdict = worse > 0 ? Verdict::does_not_hold
                  : holds   ? Verdict::holds
                            : Verdict::not_decided;
  claim.would_decide = claim.verdict != Verdict::not_decided ? ""
                       : better < judged ? "more seeds, until the intervals exclude 0"
                       : unknown > 0     ? "comparable runs from scratch beside all grown ones"
                                         : "runs from scratch at equal total compute";
  refuse_subsets(report, claim);
  return claim;
}

}  // namespace metascale
