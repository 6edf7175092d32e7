// A model recorded for one shape of batch, with the memory that it runs in.
#pragma once

#include <string>
#include <vector>

#include "experiments/models/model.hpp"

namespace metascale {

struct ProgramOptions {
  std::int64_t rows = 1;     // B, of one execution
  std::int64_t context = 1;  // T
  TapeOptions tape;
  bool carry_state = false;  // recurrent models, forward only: state stays from one execution to the next
  bool logits = false;       // forward only: all logits instead of losses
};

class Program {
 public:
  // Records the model; declares its parameters in list. Nothing is allocated.
  Program(const ModelConfig& model, const ProgramOptions& options, ParameterList& list);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Memory for activations, inputs and carried state; parameters are the caller's.
  void allocate(Device device, const ParameterMemory& parameters);

  // Inputs, filled by the caller before execute. scales: only when training.
  std::int32_t* tokens() { return at<std::int32_t>(tokens_); }    // (B, T)
  std::int32_t* targets() { return at<std::int32_t>(targets_); }  // (B, T)
  void set_scale(std::int64_t index, double scale);               // of row * T + position
  void execute(Queue& queue) const { tape_.execute(queue); }

  double loss(std::int64_t index) const;                 // nats of row * T + position
  double logit(std::int64_t index) const;                // of (row * T + position) * V + id
  void advance_state();                                  // carried state: after becomes before
  void reset_state();                                    // carried state: zero
  std::vector<double> state(const std::string& name) const;

  void poison();  // tests: fills planned memory with NaN, which an execution must not see

  const Tape& tape() const { return tape_; }
  const ProgramOptions& options() const { return options_; }
  std::size_t bytes() const;  // of allocate(), parameters not counted

 private:
  template <typename T>
  T* at(const Tensor& tensor) {
    return static_cast<T*>(tape_.address(tensor));
  }
  double value(const Tensor& tensor, std::int64_t index) const;

  ProgramOptions options_;
  Tape tape_;
  Tensor tokens_, targets_, scales_, losses_, logits_;
  std::vector<Tensor> externals_;
  Buffer planned_, inputs_;
};

}  // namespace metascale
