#include "analysis/probe_curves.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

namespace metascale {
namespace {

constexpr double solved_share = 0.9;  // [Merrill et al. 2024]

std::string words_of_width(std::int64_t width, std::int64_t head_size) {
  return fmt::format("width {} (heads of {})", width, head_size);
}

// What stays the same along an axis. The budget of training is not held: depths and loads need
// different ones.
std::string held_along(ProbeAxis axis, const ProbeSetting& setting, std::int64_t tested) {
  std::vector<std::string> parts;
  if (axis != ProbeAxis::layers)
    parts.push_back(fmt::format("{} layer{}", setting.layers, setting.layers == 1 ? "" : "s"));
  if (axis != ProbeAxis::state) parts.push_back(words_of_width(setting.width, setting.head_size));
  if (axis != ProbeAxis::pairs) {
    parts.push_back(fmt::format("trained at {} tokens", setting.trained));
    if (setting.pairs > 0) parts.push_back(fmt::format("{} pairs", setting.pairs));
  }
  if (axis == ProbeAxis::distance) parts.push_back(fmt::format("tested at {}", tested));
  return fmt::format("{}", fmt::join(parts, ", "));
}

using Shares = std::vector<SeedShare>;

std::map<std::int64_t, Shares> shares_by_length(const Cell& cell) {
  std::map<std::int64_t, Shares> found;
  for (const Run* run : cell.runs)
    for (const auto& [length, accuracy] : accuracies(*run))
      found[length].push_back(answers_of(accuracy));
  return found;
}

class Curves {
 public:
  explicit Curves(const Report& report) : report_(report) {}

  void add(const Cell& cell) {
    const ProbeSetting setting = probe_setting(cell);
    for (const auto& [length, shares] : shares_by_length(cell)) {
      const auto put = [&, length = length, &shares = shares](ProbeAxis axis, std::int64_t x) {
        if (axis == ProbeAxis::length || (length == setting.trained && x > 0))
          add(cell, setting, axis, length, double(x), shares);
      };
      put(ProbeAxis::length, length), put(ProbeAxis::pairs, setting.pairs);
      put(ProbeAxis::state, setting.state), put(ProbeAxis::layers, setting.layers);
    }
    add_distances(cell, setting);
  }

  std::vector<ProbeCurves> take() && {
    std::stable_sort(curves_.begin(), curves_.end(), [](const auto& a, const auto& b) {
      return std::tie(a.task, a.axis) < std::tie(b.task, b.axis);
    });
    std::erase_if(curves_, [](const ProbeCurves& curves) {
      return curves.axis != ProbeAxis::length &&
             std::all_of(curves.lines.begin(), curves.lines.end(),
                         [](const ProbeLine& line) { return line.points.size() < 2; });
    });
    return std::move(curves_);
  }

 private:
  void add_distances(const Cell& cell, const ProbeSetting& setting) {
    for (const ProbeBin& bin : probe_bins(cell))
      add(cell, setting, ProbeAxis::distance, bin.tested,
          std::sqrt(double(bin.first + 1) * double(bin.last + 1)), bin.seeds);
  }

  void add(const Cell& cell, const ProbeSetting& setting, ProbeAxis axis, std::int64_t tested,
           double x, const Shares& shares) {
    ProbeLine& line = line_of(curves_of(setting, axis, held_along(axis, setting, tested)), cell);
    const ProbePoint point{x,
                           report_.shares->of(shares, report_.confidence),
                           shares.size(),
                           tested,
                           cell.size,
                           cell.tokens};
    const auto at = std::lower_bound(line.points.begin(), line.points.end(), x,
                                     [](const ProbePoint& p, double value) { return p.x < value; });
    if (at == line.points.end() || at->x != x)
      line.points.insert(at, point);
    else if (at->trained_tokens < point.trained_tokens)
      *at = point;
  }

  ProbeCurves& curves_of(const ProbeSetting& setting, ProbeAxis axis, const std::string& held) {
    for (ProbeCurves& curves : curves_)
      if (curves.task == setting.task && curves.axis == axis && curves.held == held &&
          curves.parameters == setting.parameters)
        return curves;
    curves_.push_back({setting.task, axis, held, setting.parameters, setting.chance, {}});
    return curves_.back();
  }

  static ProbeLine& line_of(ProbeCurves& curves, const Cell& cell) {
    for (ProbeLine& line : curves.lines)
      if (line.arm == cell.arm) return line;
    curves.lines.push_back({cell.arm, {}});
    return curves.lines.back();
  }

  const Report& report_;
  std::vector<ProbeCurves> curves_;
};

// What stays the same along the trained length; old logs lack the width.
std::string held_of(const ProbeDepth& depth) {
  std::vector<std::string> parts;
  if (depth.width > 0) parts.push_back(words_of_width(depth.width, depth.head_size));
  if (const auto space = depth.probe.find(' '); space != std::string::npos)
    parts.push_back(depth.probe.substr(space + 1));
  return fmt::format("{}", fmt::join(parts, ", "));
}

DepthLine& line_of(std::vector<DepthCurves>& curves, const ProbeDepth& depth) {
  const std::string held = held_of(depth);
  auto found = std::find_if(curves.begin(), curves.end(), [&](const DepthCurves& one) {
    return one.task == depth.task && one.held == held;
  });
  if (found == curves.end()) found = curves.insert(found, {depth.task, held, {}});
  for (DepthLine& line : found->lines)
    if (line.arm == depth.arm) return line;
  found->lines.push_back({depth.arm, {}});
  return found->lines.back();
}

bool is_solved(const std::vector<Accuracy>& runs) {
  double mean = 0;
  for (const Accuracy& run : runs) mean += run.sequences / double(runs.size());
  return mean > solved_share;
}

}  // namespace

const char* name_of(ProbeAxis axis) {
  switch (axis) {
    case ProbeAxis::length: return "length";
    case ProbeAxis::distance: return "distance";
    case ProbeAxis::pairs: return "pairs";
    case ProbeAxis::state: return "state";
    case ProbeAxis::layers: return "layers";
  }
  return "?";
}

const char* words_of(ProbeAxis axis) {
  switch (axis) {
    case ProbeAxis::length: return "Sequence length, tokens";
    case ProbeAxis::distance: return "Tokens from the evidence to the answer, both counted";
    case ProbeAxis::pairs: return "Key-value pairs";
    case ProbeAxis::state: return "Numbers kept per sequence";
    case ProbeAxis::layers: return "Layers";
  }
  return "?";
}

std::vector<ProbeCurves> probe_curves(const Report& report) {
  Curves curves(report);
  for (const std::string& arm : report.collection.arms)
    for (const Cell& cell : report.probe_cells)
      if (cell.arm == arm) curves.add(cell);
  return std::move(curves).take();
}

std::string ProbeDepth::tried_words() const { return fmt::format("{}", fmt::join(tried, ", ")); }

std::vector<ProbeDepth> probe_depths(const Report& report) {
  struct Depths {
    std::string task;
    std::set<int> tried, solved;
  };
  // Probe, width, head size, trained length, arm.
  using Key = std::tuple<std::string, std::int64_t, std::int64_t, std::int64_t, std::string>;
  std::map<Key, Depths> rows;
  for (const Cell& cell : report.probe_cells) {
    const Run& one = *cell.runs.front();
    const ProbeSetting setting = probe_setting(cell);
    if (!one.fact("probe") || setting.layers == 0 || setting.trained == 0) continue;
    std::vector<Accuracy> runs;
    for (const Run* run : cell.runs) {
      const auto found = accuracies(*run);
      if (const auto at = found.find(setting.trained); at != found.end())
        runs.push_back(at->second);
    }
    if (runs.empty()) continue;
    Depths& depths =
        rows[{*one.fact("probe"), setting.width, setting.head_size, setting.trained, cell.arm}];
    depths.task = setting.task;
    depths.tried.insert(int(setting.layers));
    if (is_solved(runs)) depths.solved.insert(int(setting.layers));
  }
  std::vector<ProbeDepth> found;
  for (const auto& [key, depths] : rows) {
    const auto& [probe, width, head_size, trained, arm] = key;
    found.push_back({depths.task,
                     probe,
                     width,
                     head_size,
                     trained,
                     arm,
                     {depths.tried.begin(), depths.tried.end()},
                     depths.solved.empty() ? 0 : *depths.solved.begin()});
  }
  return found;
}

const char* words_of_depth_axis() { return "Trained length, tokens"; }

std::vector<DepthCurves> depth_curves(const Report& report) {
  const std::vector<ProbeDepth> depths = probe_depths(report);
  std::vector<DepthCurves> curves;
  for (const std::string& arm : report.collection.arms)
    for (const ProbeDepth& depth : depths)  // ascending by length
      if (depth.arm == arm)
        line_of(curves, depth).points.push_back({depth.trained, depth.least, depth.tried});
  std::erase_if(curves, [](const DepthCurves& one) {
    return std::all_of(one.lines.begin(), one.lines.end(),
                       [](const DepthLine& line) { return line.points.size() < 2; });
  });
  return curves;
}

}  // namespace metascale
