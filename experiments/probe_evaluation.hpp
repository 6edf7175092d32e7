// Accuracy of a model on a probe: what it answers is the id of the largest logit.
#pragma once

#include "core/run_file.hpp"
#include "data/probe_batches.hpp"
#include "experiments/run_data.hpp"

namespace metascale {

// What a model said to one example: of each position whether it was right, and the nats of the
// right answer; positions where nothing was asked are not looked at.
struct ProbeAnswers {
  std::vector<bool> correct;  // (T)
  std::vector<double> nats;   // (T)
};

// Adds up answers to examples of one length.
class ProbeScore {
 public:
  explicit ProbeScore(std::int64_t length);
  void add(const ProbeExample& example, const ProbeAnswers& answers);
  const std::vector<ProbeRow>& rows() const { return rows_; }  // one for each bin of distances

 private:
  std::vector<ProbeRow> rows_;
};

// What a run's evaluations execute, each once: the final one at every tested length, a periodic one
// at the trained length, which may take fewer examples at once.
struct ProbeTest {
  std::int64_t length = 0, rows = 0;  // rows: examples of one forward
  friend bool operator==(const ProbeTest&, const ProbeTest&) = default;
};
std::vector<ProbeTest> probe_tests(const RunConfig& config);

// The first `examples` examples, each length with a program of its own. Totals, domains, positions
// and segments (one for each example) are of the trained length, which is `context`; probes of all
// lengths. Bits depend neither on the number of ranks nor on that of threads beyond those of the
// logits.
std::optional<Evaluation> evaluate_probe(const RunConfig& config,
                                         const std::vector<std::int64_t>& lengths,
                                         std::int64_t examples, std::uint64_t seed,
                                         const Evaluator& with);

}  // namespace metascale
