// What `metascale bench context --json` measured: cost of a token against the length of its
// context, per architecture [docs/probes.md]. A results folder may hold it as context.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "analysis/interval.hpp"

namespace metascale {

struct ContextPoint {
  std::int64_t tokens = 0;    // length of the window, or position of the generated token
  double seconds = 0;         // per token
  double bytes = 0;           // training: planned, per token; generation: carried at this position
  double resident_bytes = 0;  // by which the process grew, likewise
};

// cost ~ tokens^value; an interval of 95 %.
struct ContextExponent {
  // training_seconds | training_bytes | training_resident_bytes, and of generation; bytes of
  // generation are all that is carried at a position, not divided by its tokens
  std::string quantity;
  double value = 0;
  Interval interval;
  std::int64_t points = 0;
};

struct ContextModel {
  std::string architecture;
  std::int64_t parameters = 0;
  std::vector<ContextPoint> training, generation;
  std::vector<ContextExponent> exponents;  // of curves with three lengths or more

  const ContextExponent* exponent(const std::string& quantity) const;
  // The curve that a quantity is of.
  const std::vector<ContextPoint>& curve(const std::string& quantity) const;
};

// How much further memory a further token of generation was measured to take, as a share of what
// it takes in the cache of attention: 0 is constant memory, 1 a cache. The slope of the resident
// bytes against the position by least squares, with Student's t interval of 95 %.
struct MemoryGrowth {
  double share = 0;
  Interval interval;
};
// Nothing with fewer than three positions, where the process was not seen to grow at any of them
// (resident bytes were not measured), or where the attention's cache is not known.
std::optional<MemoryGrowth> measured_growth(const ContextModel& model,
                                            const ContextModel& attention);

struct ContextCosts {
  std::vector<ContextModel> models;

  const ContextModel* find(const std::string& architecture) const;
};

// Nothing if the file is not there. Throws Error{bad_input} if it is not of that form.
std::optional<ContextCosts> read_context_costs(const std::filesystem::path& file);

}  // namespace metascale
