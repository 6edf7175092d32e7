// What the gain over the Transformer is made of: RWKV-7's part, the part of a mere shortcut (the
// time_mix control, which reads what the time mix has read already) and that of the second
// read-out. The parts are differences along Transformer, RWKV-7, control, Meta-State, and their
// draws share documents and seeds: in every draw they sum to the whole.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "analysis/claims/parts.hpp"

namespace metascale {
namespace {

constexpr std::size_t arm_count = 4, part_count = arm_count - 1;
using Losses = std::array<double, arm_count>;  // along the path
using SeedRuns = std::array<const Run*, arm_count>;

struct Unit {  // one document, averaged over seeds
  double tokens = 0;
  Losses nats{};
};

struct PathData {
  std::vector<Unit> units;
  std::vector<Losses> seeds;  // nats per token of each seed's runs
  Losses mean{};
};

struct Part {
  double share = 0;  // of the Transformer's loss
  Interval interval;
};
struct Parts {
  Part whole;
  std::array<Part, part_count> each;
};

// Runs with one seed at the place, in all four arms, whose neighbours along the path are matched
// pairs, and whose ends are one.
std::vector<SeedRuns> runs_at(const Report& report, const GainPath& path, const Place& place) {
  const std::array<std::string, arm_count> arms{path.transformer, path.plain, path.shortcut,
                                                path.subject};
  const auto partners = [&](const std::string& arm, const std::string& other) {
    std::map<const Run*, const Run*> found;
    for (const Comparison& comparison : comparisons(report, other, arm))
      if (place_of(comparison) == place)
        for (std::size_t i = 0; i < comparison.mine().size(); ++i)
          found[comparison.theirs()[i]] = comparison.mine()[i];
    return found;
  };
  std::vector<SeedRuns> seeds;
  for (const auto& [first, last] : partners(arms.front(), arms.back())) {
    SeedRuns runs{first};
    for (std::size_t i = 1; i < arm_count && runs[i - 1] != nullptr; ++i) {
      const auto next = partners(arms[i - 1], arms[i]);
      const auto found = next.find(runs[i - 1]);
      runs[i] = found == next.end() ? nullptr : found->second;
    }
    if (runs.back() == last) seeds.push_back(runs);
  }
  return seeds;
}

PathData data_of(const std::vector<SeedRuns>& seeds) {
  PathData data;
  for (const SeedRuns& runs : seeds) {
    Losses nats{};
    double tokens = 0;
    for (std::size_t arm = 0; arm < arm_count; ++arm) {
      const PairedSeed joined = join_documents(runs[0]->documents, runs[arm]->documents);
      data.units.resize(joined.size());
      for (std::size_t i = 0; i < joined.size(); ++i) {
        data.units[i].tokens = joined[i].tokens;
        data.units[i].nats[arm] += joined[i].second / double(seeds.size());
        nats[arm] += joined[i].second;
        tokens += arm == 0 ? joined[i].tokens : 0;
      }
    }
    for (std::size_t arm = 0; arm < arm_count; ++arm) {
      nats[arm] /= tokens;
      data.mean[arm] += nats[arm] / double(seeds.size());
    }
    data.seeds.push_back(nats);
  }
  std::erase_if(data.units, [](const Unit& unit) { return unit.tokens <= 0; });
  return data;
}

Losses draw_documents(const std::vector<Unit>& units, CounterRandom& random) {
  Losses nats{};
  double tokens = 0;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const Unit& unit = units[random.below(units.size())];
    tokens += unit.tokens;
    for (std::size_t arm = 0; arm < arm_count; ++arm) nats[arm] += unit.nats[arm];
  }
  for (double& loss : nats) loss /= tokens;
  return nats;
}

// What seeds add to the four losses, correlated as the seeds' losses are: of every difference of
// two arms it is Student's t times its standard error, as in a paired difference. Of one seed, the
// assumed deviation of single runs.
Losses draw_seeds(const PathData& data, double assumed, CounterRandom& random) {
  Losses noise{};
  const std::size_t count = data.seeds.size();
  if (count < 2) {
    for (std::size_t arm = 0; arm < arm_count; ++arm)
      noise[arm] = random.normal() * assumed * data.mean[arm];
    return noise;
  }
  for (const Losses& seed : data.seeds) {
    const double weight = random.normal() / std::sqrt(double(count) * double(count - 1));
    for (std::size_t arm = 0; arm < arm_count; ++arm)
      noise[arm] += weight * (seed[arm] - data.mean[arm]);
  }
  double squares = 0;
  for (std::size_t i = 1; i < count; ++i) squares += std::pow(random.normal(), 2);
  for (double& each : noise) each /= std::sqrt(squares / double(count - 1));
  return noise;
}

Parts parts_of(const PathData& data, std::size_t draws, const Report& report) {
  const double base = data.mean.front();
  std::array<std::vector<double>, part_count> drawn;
  std::vector<double> whole;
  for (std::size_t draw = 0; draw < draws; ++draw) {
    CounterRandom random(PairedOptions{}.seed, draw);
    Losses losses = draw_documents(data.units, random);
    const Losses noise = draw_seeds(data, report.seed_deviation, random);
    for (std::size_t arm = 0; arm < arm_count; ++arm) losses[arm] += noise[arm];
    for (std::size_t part = 0; part < part_count; ++part)
      drawn[part].push_back((losses[part] - losses[part + 1]) / base);
    whole.push_back((losses.front() - losses.back()) / base);
  }
  const bool enough = std::int64_t(data.units.size()) >= fewest_documents;
  const auto interval = [&](std::vector<double>& values) {
    return enough ? percentile_interval(std::move(values), report.confidence) : Interval{};
  };
  Parts parts{{(base - data.mean.back()) / base, interval(whole)}, {}};
  for (std::size_t part = 0; part < part_count; ++part)
    parts.each[part] = {(data.mean[part] - data.mean[part + 1]) / base, interval(drawn[part])};
  return parts;
}

std::string words_of(const Part& part) {
  return share_text(part.share) + " " + share_text(part.interval);
}

// The whole gain, then each part of it, with the runs of the arms on either side.
void add_values(const Parts& parts, const GainPath& path, const Place& place,
                const std::vector<SeedRuns>& seeds, Claim& claim) {
  const std::array<std::string, arm_count> arms{path.transformer, path.plain, path.shortcut,
                                                path.subject};
  const auto add = [&](const char* measure, std::size_t first, std::size_t last, const Part& part) {
    std::vector<const Run*> runs;
    for (const std::size_t arm : {last, first})
      for (const SeedRuns& seed : seeds) runs.push_back(seed[arm]);
    claim.values.push_back({arms[last], arms[first], place.first, place.second, measure, part.share,
                            part.interval, run_list(runs)});
  };
  constexpr std::array<const char*, part_count> measures{"part_of_rwkv7", "part_of_the_shortcut",
                                                         "part_of_the_read_out"};
  add("relative_gain", 0, arm_count - 1, parts.whole);
  for (std::size_t i = 0; i < part_count; ++i) add(measures[i], i, i + 1, parts.each[i]);
}

// Where every arm of the path has runs.
std::set<Place> common_places(const Report& report, const GainPath& path) {
  std::set<Place> common = places_of(report, path.transformer);
  for (const std::string& arm : {path.plain, path.shortcut, path.subject}) {
    const std::set<Place> own = places_of(report, arm);
    std::erase_if(common, [&](const Place& place) { return !own.contains(place); });
  }
  return common;
}

}  // namespace

Claim judge_parts(const Report& report, Claim claim, const GainPath& path) {
  claim.would_decide =
      "matched runs of a Transformer, RWKV-7, a time_mix control and Meta-State at one size";
  const std::size_t places = common_places(report, path).size();
  std::size_t found = 0, above = 0, below = 0;
  for (const Comparison& comparison : comparisons(report, path.subject, path.transformer)) {
    const std::vector<SeedRuns> seeds = runs_at(report, path, place_of(comparison));
    if (seeds.empty()) continue;
    const Parts parts = parts_of(data_of(seeds), comparison.pair->result.draws.size(), report);
    const auto count = [&](const auto& is_so) {
      return std::size_t(std::count_if(parts.each.begin(), parts.each.end(), is_so));
    };
    ++found;
    above += count([](const Part& part) { return part.interval.low > 0; }) == part_count ? 1 : 0;
    below += count([](const Part& part) { return part.interval.high < 0; }) > 0 ? 1 : 0;
    add_values(parts, path, place_of(comparison), seeds, claim);
    claim.evidence.push_back(
        {words_of(place_of(comparison)),
         fmt::format("{} = RWKV-7 {} + shortcut {} + read-out {}", words_of(parts.whole),
                     words_of(parts.each[0]), words_of(parts.each[1]), words_of(parts.each[2]))});
  }
  if (found == 0) return claim;
  claim.measure = fmt::format("Loss of {} below that of {} by ({} for RWKV-7, {} for the shortcut)",
                              path.subject, path.transformer, path.plain, path.shortcut);
  claim.verdict = below > 0                           ? Verdict::does_not_hold
                  : above == found && found == places ? Verdict::holds
                                                      : Verdict::not_decided;
  claim.would_decide = claim.verdict != Verdict::not_decided ? ""
                       : above == found
                           ? "matched runs of all four arms at every size that they have"
                           : "more seeds at the sizes where a part's interval contains 0";
  refuse_subsets(report, claim);
  return claim;
}

}  // namespace metascale
