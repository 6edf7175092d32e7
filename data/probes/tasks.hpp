// What a kind of task consists of. Each kind is a file beside this one; data/probes.cpp lists them.
#pragma once

#include <string>

#include "data/probes.hpp"
#include "data/probes/random.hpp"

namespace metascale::probes {

struct Task {
  const ProbeConfig& config;
  const std::vector<std::int32_t>& products;  // of a word problem's group, else empty
  std::int64_t length;                        // T
};

// The example that a generator fills: T tokens, nothing asked yet.
class Draft {
 public:
  explicit Draft(std::int64_t length)
      : example_{std::vector<std::int32_t>(std::size_t(length)),
                 std::vector<std::int32_t>(std::size_t(length), -1),
                 std::vector<std::int32_t>(std::size_t(length))} {}

  std::int64_t length() const { return std::int64_t(example_.tokens.size()); }
  std::int32_t& token(std::int64_t t) { return example_.tokens[std::size_t(t)]; }
  bool asks(std::int64_t t) const { return example_.answers[std::size_t(t)] >= 0; }
  // evidence: the oldest position that the answer at t needs.
  void ask(std::int64_t t, std::int64_t answer, std::int64_t evidence) {
    example_.answers[std::size_t(t)] = std::int32_t(answer);
    example_.distances[std::size_t(t)] = std::int32_t(t - evidence);
  }
  ProbeExample take() { return std::move(example_); }

 private:
  ProbeExample example_;
};

struct Kind {
  std::int64_t (*vocabulary)(const ProbeConfig&);
  std::int64_t (*answers)(const ProbeConfig&);
  std::int64_t (*scored)(const ProbeConfig&, std::int64_t length);
  // What forbids an example of `length` tokens, and what would be right; empty: nothing does.
  std::string (*problem)(const ProbeConfig&, std::int64_t length);
  void (*make)(const Task&, Random&, Draft&);
  const char* parameters;  // " pairs vocabulary ": the keys that it takes, between blanks
};

extern const Kind word_problem, transpositions, counting;  // state_tracking.cpp
extern const Kind associative_recall, needle_retrieval;    // recall.cpp
extern const Kind plain_copying, selective_copying;        // copying.cpp
extern const Kind nested_brackets;                         // brackets.cpp

}  // namespace metascale::probes
