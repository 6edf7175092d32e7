// Everything that one run trains with, made from its configuration: data, recorded programs, parameters,
// optimizer. The loop over it is trainer.cpp.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "core/run_file.hpp"
#include "data/batches.hpp"
#include "data/evaluation_windows.hpp"
#include "data/tokenizer.hpp"
#include "experiments/checkpoint.hpp"
#include "experiments/config.hpp"
#include "experiments/optimizer.hpp"
#include "experiments/program.hpp"

namespace metascale {

class RunContext {
 public:
  // start: what a checkpoint says (threads and micro-batch that a resumed run keeps), or nothing.
  RunContext(const RunConfig& config, const std::optional<TrainingState>& start);

  // The next update: fills state.step etc. on success. Returns its row (attempt and seconds set by the
  // caller). A loss or norm that is not finite is in the row; parameters are then unchanged.
  StepRow train_step();
  // Nothing if go_on, asked between batches, said no.
  std::optional<Evaluation> evaluate_split(const std::string& split, bool is_final,
                                           const std::function<bool()>& go_on);

  TrainingState state;
  const ParameterList& parameters() const { return list_; }
  ParameterMemory& memory() { return *memory_; }

  // What is logged once: parameters, FLOPs, digests, what pairs must agree on.
  std::map<std::string, std::string> facts() const;

 private:
  double accumulate_gradients();  // of the next batch; its mean loss in nats per token
  std::int64_t micro_batch_for(std::int64_t rows) const;

  const RunConfig config_;
  std::unique_ptr<Tokenizer> tokenizer_;
  TokenFile train_;
  Batches batches_;
  ParameterList list_;
  std::unique_ptr<Program> training_, evaluation_;
  std::unique_ptr<ParameterMemory> memory_;
  std::unique_ptr<Optimizer> optimizer_;
  Queue queue_;
  double flops_per_token_ = 0;
};

}  // namespace metascale
