// A model recorded for one shape of batch, with the memory that it runs in.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "experiments/host_exchange.hpp"
#include "experiments/models/model.hpp"
#include "kernels/launch_graph.hpp"

namespace metascale {

class Program;

struct ProgramOptions {
  std::int64_t rows = 1;     // B, of one execution
  std::int64_t context = 1;  // T
  TapeOptions tape;
  // Recurrent models, forward only: the state stays from one execution to the next.
  bool carry_state = false;
  bool logits = false;       // forward only: all logits instead of losses
  bool last_logits = false;  // with logits: only those of each row's last token
  // Nothing flows from one document of a window to the next; excludes both states.
  bool reset_at_documents = false;
  // Transformers, forward only, one row: tokens whose keys and values are kept.
  std::int64_t cache = 0;
  // Goes on with the carried state of that program, of the same model, rows and cache, which has
  // its memory and outlives this one. Each has a position of its own: set_position.
  const Program* state_of = nullptr;
  // On a GPU, executions that are sent before the first is waited for.
  std::int64_t executions = 1;
  bool cuda_graph = false;  // on a GPU: executions without `after` are replayed as one CUDA graph
};

class Program {
 public:
  // Records the model; declares its parameters in list. Nothing is allocated.
  Program(const ModelConfig& model, const ProgramOptions& options, ParameterList& list);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Memory for activations, inputs and carried state; parameters are the caller's, on the same
  // device. Throws Error{usage} where a GPU is to carry state.
  void allocate(Device device, const ParameterMemory& parameters);
  // The same, with activations in `planned`, which other programs may use between two executions.
  void allocate(Device device, const ParameterMemory& parameters, const Buffer& planned);

  // Inputs of the next execution, on the host whatever the device is, filled by the caller. scales:
  // only when training.
  std::int32_t* tokens() { return input<std::int32_t>(tokens_); }    // (B, T)
  std::int32_t* targets() { return input<std::int32_t>(targets_); }  // (B, T)
  // (B, T) position in the row of the first token of each token's document: data/batches.hpp,
  // to_first_positions. nullptr unless reset_at_documents.
  std::int32_t* first_positions() {
    return options_.reset_at_documents ? input<std::int32_t>(first_positions_) : nullptr;
  }
  void set_scale(std::int64_t index, double scale);  // of row * T + position
  // Returns when losses or logits can be read. after: as Tape::execute calls it.
  void execute(Queue& queue, const std::function<void(std::size_t)>& after = {});
  // The same for several, in order: a GPU is given the next one while it computes. read() is called
  // when the losses of this one can be read: by a later send() or by finish(), on a CPU at once.
  void send(Queue& queue, std::function<void()> read,
            const std::function<void(std::size_t)>& after = {});
  void finish(Queue& queue);
  void forget();  // what was sent and is not read yet

  double loss(std::int64_t index) const;  // nats of row * T + position
  // Of (row * T + position) * V + id; with last_logits of row * V + id.
  double logit(std::int64_t index) const;
  void advance_state();                                // carried state: after becomes before
  void reset_state();                                  // carried state: zero, at position 0
  std::int64_t position() const { return position_; }  // tokens that the state has seen
  // Of a state that was restored.
  void set_position(std::int64_t position) { position_ = position; }
  std::vector<double> state(const std::string& name) const;

  void poison();  // tests: fills planned memory with NaN, which an execution must not see

  const Tape& tape() const { return tape_; }
  const ProgramOptions& options() const { return options_; }
  std::size_t bytes() const;        // of allocate(), parameters not counted
  std::size_t input_bytes() const;  // of them, inputs and carried state

 private:
  const Tensor& result() const { return options_.logits ? logits_ : losses_; }
  template <typename T>
  T* input(const Tensor& tensor) {
    auto* address = static_cast<std::byte*>(tape_.address(tensor));
    return reinterpret_cast<T*>(exchange_ ? exchange_->inputs() + (address - inputs_.data())
                                          : address);
  }
  void bind_state_of(const Program& owner);
  double value(const Tensor& tensor, const void* data, std::int64_t index) const;
  double result_at(std::int64_t index) const;

  ProgramOptions options_;
  std::int64_t position_ = 0;
  Tape tape_;
  Tensor tokens_, first_positions_, targets_, scales_, losses_, logits_;
  std::vector<Tensor> externals_;
  Buffer planned_, inputs_;
  std::optional<HostExchange> exchange_;  // with a GPU
  LaunchGraph graph_;                     // of the whole tape
};

}  // namespace metascale
