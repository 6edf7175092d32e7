// Accuracy on probes as the literature draws it: against sequence length, distance to the
// evidence, key-value pairs, state size or layers, with all else held; and the least layers that
// solve a trained length.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/probes.hpp"

namespace metascale {

enum class ProbeAxis { length, distance, pairs, state, layers };
const char* name_of(ProbeAxis axis);   // in files
const char* words_of(ProbeAxis axis);  // for people, with the unit

struct ProbePoint {
  double x = 0;  // of distances: 1 more than one, at the geometric middle of its bin
  Share share;   // of the answers that are right
  std::size_t seeds = 0;
  std::int64_t tested = 0;  // tokens of an example
  std::string size;         // of the cell
  double trained_tokens = 0;
};

struct ProbeLine {
  std::string arm;
  std::vector<ProbePoint> points;  // ascending by x, one for each
};

// Against anything but length and distance: at the length that the runs were trained at.
struct ProbeCurves {
  std::string task;
  ProbeAxis axis = ProbeAxis::length;
  std::string held;        // what is the same for all points, in words
  std::string parameters;  // of the task, without those in `held`: the same too
  double chance = __builtin_nan("");
  std::vector<ProbeLine> lines;  // in the order of arms
};

// By task, then by axis. Left out: where every arm has a single x, except lengths. Where cells
// differ in nothing that is held or drawn, the one trained on most tokens counts.
std::vector<ProbeCurves> probe_curves(const Report& report);

// Least layers with more than 90 % of the sequences without a mistake at the trained length, mean
// over seeds.
struct ProbeDepth {
  std::string task, probe;                // probe: task and parameters
  std::int64_t width = 0, head_size = 0;  // of the models; 0: not logged
  std::int64_t trained = 0;               // tokens
  std::string arm;
  std::vector<int> tried;  // ascending
  int least = 0;           // 0: none of them

  std::string tried_words() const;  // "1, 2"
};
std::vector<ProbeDepth> probe_depths(const Report& report);

// The same as curves: least layers against the trained length.
struct DepthPoint {
  std::int64_t trained = 0;  // tokens
  int least = 0;             // 0: none of those tried
  std::vector<int> tried;    // ascending

  int drawn() const { return least > 0 ? least : tried.back(); }
};
struct DepthLine {
  std::string arm;
  std::vector<DepthPoint> points;  // ascending by length, one for each
};
struct DepthCurves {
  std::string task;
  std::string held;              // width, heads and the task's parameters, in words
  std::vector<DepthLine> lines;  // in the order of arms
};
// Left out: where no arm was trained at two lengths.
std::vector<DepthCurves> depth_curves(const Report& report);
const char* words_of_depth_axis();  // what they are drawn against

}  // namespace metascale
