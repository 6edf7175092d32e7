// Probes: synthetic tasks with known answers, for what a model can compute rather than what it has
// seen. An example is a pure function of (task, length, seed, index), so a probe is endless data in
// any order. What each task asks, and whom it follows: docs/probes.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace metascale {

enum class ProbeTask {
  none,  // token files instead
  z60,
  a4xz5,
  a5,
  s3,
  s5,
  s5_swaps,
  parity,
  modular_counting,
  mqar,
  copying,
  selective_copying,
  dyck,
  needle,
};
enum class ProbeFiller { random, zeros };  // mqar: what stands where nothing is asked

struct ProbeConfig {
  ProbeTask task = ProbeTask::none;
  std::int64_t modulus = 5;                  // modular_counting
  std::int64_t vocabulary = 8192;            // mqar, needle: ids
  std::int64_t pairs = 4;                    // mqar, needle: of key and value
  double power = 0.01;                       // mqar: of the law of the gaps
  ProbeFiller filler = ProbeFiller::random;  // mqar
  std::int64_t symbols = 26;                 // copying, selective_copying: of the alphabet
  std::int64_t items = 16;                   // selective_copying: symbols to remember
  std::int64_t brackets = 8;                 // dyck: kinds
  std::int64_t depth = 5;                    // dyck: deepest nesting

  friend bool operator==(const ProbeConfig&, const ProbeConfig&) = default;
};

const char* name_of(ProbeTask task);       // as in a sweep file
std::span<const ProbeTask> probe_tasks();  // all but none

// A whole number that some tasks take; power and filler are mqar's alone.
struct ProbeParameter {
  const char* name;
  std::int64_t ProbeConfig::*member;
  std::int64_t least, most;
};
std::span<const ProbeParameter> probe_parameters();
bool takes(ProbeTask task, const std::string& parameter);

// One example of T tokens. answers[t] is what a model that has read tokens[0 .. t] should say, -1
// where nothing is asked. distances[t]: how far back the oldest token lies that the answer needs.
struct ProbeExample {
  std::vector<std::int32_t> tokens, answers, distances;  // (T)
};

class Probe {
 public:
  // Throws Error{usage} where a parameter is out of the task's range.
  explicit Probe(const ProbeConfig& config);

  const ProbeConfig& config() const { return config_; }
  std::int64_t vocabulary() const;                           // ids of tokens and answers
  std::int64_t answers() const;                              // different ones
  double chance() const { return 1.0 / double(answers()); }  // of a uniform guess among them
  std::int64_t scored(std::int64_t length) const;  // answers in an example, always as many
  // Throws Error{usage} where the task has no example of that many tokens.
  void check_length(std::int64_t length) const;
  ProbeExample example(std::int64_t length, std::uint64_t seed, std::uint64_t index) const;

  // The task and the parameters that it has, as they enter identities: "task=mqar pairs=4 ...".
  std::string identity() const;

 private:
  ProbeConfig config_;
  std::vector<std::int32_t> products_;  // of a word problem's group: (G, G)
};

}  // namespace metascale
