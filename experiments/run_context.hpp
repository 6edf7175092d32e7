// Everything that one run trains with, made from its configuration: data, recorded programs,
// parameters, optimizer. The loop over it is trainer.cpp.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "core/run_file.hpp"
#include "experiments/checkpoint.hpp"
#include "experiments/config.hpp"
#include "experiments/data_parallel.hpp"
#include "experiments/lineage.hpp"
#include "experiments/optimizer.hpp"
#include "experiments/run_data.hpp"
#include "experiments/run_programs.hpp"
#include "experiments/training/usage.hpp"
#include "kernels/gpu.hpp"

namespace metascale {

class RunContext {
 public:
  // start: what a checkpoint says (threads and micro-batch that a resumed run keeps), or nothing.
  // ranks: that train the run together, all with the same configuration and start; null: this
  // process alone. Where there are several, all of them call the functions below, in the same
  // order. folder: where training.timed_products keeps its choices; "": they are not timed.
  RunContext(const RunConfig& config, const std::optional<TrainingState>& start,
             Communicator* ranks = nullptr, const std::filesystem::path& folder = {});

  // The next update: fills state.step etc. on success. Returns its row (attempt and seconds set by
  // the caller). A loss or norm that is not finite is in the row; parameters are then unchanged, as
  // they are when accepts says no to the row, whose step and digest are not filled in yet.
  StepRow train_step(const std::function<bool(const StepRow&)>& accepts = {});
  // Where the step of that row, whose numbers were not finite, first made one that is not, on the
  // first rank that has some [not_finite.hpp]. Before the next step.
  std::string first_not_finite(const StepRow& bad);
  // Nothing if go_on, asked between batches, said no.
  std::optional<Evaluation> evaluate_split(const std::string& split, bool is_final,
                                           const std::function<bool()>& go_on);

  TrainingState state;
  const ParameterList& parameters() const { return list_; }
  // Values and moments on the host. On a GPU, and where there are several ranks, they are a copy,
  // which rank 0 alone has: fetch_parameters before they are read, parameters_changed after they
  // were written.
  ParameterMemory& memory() { return host_memory_ ? *host_memory_ : *memory_; }
  void fetch_parameters();
  void parameters_changed();

  // Of a run on a GPU: rank, GPU and step.
  std::string place() const;

  // Of this machine so far. Called by all ranks.
  Usage usage();

  // What is logged once: parameters, FLOPs, digests, what pairs must agree on.
  std::map<std::string, std::string> facts() const;
  // Which attention runs; on a GPU surely once a step was made.
  std::string attention() const;
  std::string samples_drawn() const;  // so far, of each domain [RunData::drawn]

 private:
  Range mine() const;  // micro-batches of a step that are this rank's
  // The training program's inputs for the part-th micro-batch of that batch, and the weights of its
  // targets.
  void fill(std::int64_t batch, std::int64_t part, float* weights);
  // Of this rank's rows of the next batch; returns the sum of their losses in nats. The gradients'
  // norm can then be read.
  double accumulate_gradients();
  void choose_micro_batch(const std::optional<TrainingState>& start);
  std::int64_t micro_batch_for(std::int64_t rows) const;
  std::size_t free_bytes() const;

  const RunConfig config_;
  const LineageFlops flops_;
  ParameterList list_;
  SingleCommunicator single_;
  Communicator& ranks_;
  std::optional<Gpu> gpu_;       // before all memory on it
  std::size_t used_before_ = 0;  // bytes of the GPU
  std::unique_ptr<RunData> data_;
  std::unique_ptr<RunPrograms> programs_;
  std::vector<float> weights_;  // (micro-batches, B, T) of a step's targets, this rank's
  std::unique_ptr<ParameterMemory> memory_, host_memory_;
  std::unique_ptr<Shards> shards_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Communicator> gpus_;      // of the ranks, where they have some
  std::unique_ptr<DataParallel> parallel_;  // where there are several ranks
  Queue queue_;
};

}  // namespace metascale
