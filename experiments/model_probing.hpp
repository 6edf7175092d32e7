// A model on disk that was trained on a probe, asked at other lengths and loads than its run was.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/run_file.hpp"
#include "experiments/stored_model.hpp"

namespace metascale {

struct ModelProbingOptions {
  std::vector<std::int64_t> lengths;  // empty: those of the run's final test
  std::int64_t examples = 0;          // of each length; 0: as many as in the run's final test
  std::vector<std::string> loads;     // "pairs=16": what is to be remembered, over the run's
  int threads = 1;
  std::function<bool(double part)> progress = [](double) { return true; };  // false: stop
};

struct ModelProbing {
  ProbeSettings probe;    // with the lengths, examples and loads that were asked for
  Evaluation evaluation;  // of the final test's split; what counts are its probes
};

// On the CPU, in f64 where the run was trained in it, else in f32, with the examples of the run's
// final test: of a run in f64 or f32 on a CPU, the same answers at its lengths and loads. Throws
// Error{usage} where the run was not trained on a probe, for a load that its task does not have or
// that would change what its ids mean, and for a length without examples; Error{interrupted} where
// progress said stop.
ModelProbing probe_model(const StoredModel& stored, const ModelProbingOptions& options);

}  // namespace metascale
