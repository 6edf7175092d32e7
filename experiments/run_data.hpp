// What a run trains on and is evaluated on: token files, or a probe. A batch is a function of the
// step alone, so nothing is stored between steps.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/communicator.hpp"
#include "core/run_file.hpp"
#include "data/batches.hpp"
#include "experiments/config.hpp"
#include "experiments/program.hpp"

namespace metascale {

// With what an evaluation computes.
struct Evaluator {
  Queue& queue;
  // Of so many windows at once, of that length; stays until the next one is asked for.
  std::function<Program&(std::int64_t rows, std::int64_t context)> program;
  std::int64_t micro_batch = 1;  // windows of one forward; a probe chooses its own
  Communicator& ranks;
  const std::function<bool()>& go_on;  // asked between batches; no result once it says no
};

class RunData {
 public:
  virtual ~RunData() = default;

  virtual std::int64_t rows() const = 0;            // windows of one step
  virtual std::int64_t scored_in_step() const = 0;  // targets of weight 1
  virtual void fill(std::int64_t step, std::int64_t first_row, const Batch& batch) const = 0;
  // Of everything up to and with this step, from the digest before it [data/batches.hpp].
  virtual std::uint64_t digest(std::uint64_t before, std::int64_t step) const = 0;
  virtual std::string fingerprint() const = 0;  // of the data, whatever its order
  virtual std::string words() const = 0;        // for people: which data
  virtual std::map<std::string, std::string> facts() const = 0;
  // What so many steps draw, of each domain, for people; empty where there are no domains.
  virtual std::string drawn(std::int64_t steps) const = 0;

  // split: validation or test. The caller sets step, split and is_final.
  virtual std::optional<Evaluation> evaluate(const std::string& split, bool is_final,
                                             const Evaluator& with) = 0;
};

// config must outlive the result. Throws where a file is not there or not what config says.
std::unique_ptr<RunData> open_run_data(const RunConfig& config);

std::unique_ptr<RunData> open_token_data(const RunConfig& config);
std::unique_ptr<RunData> open_probe_data(const RunConfig& config);

}  // namespace metascale
