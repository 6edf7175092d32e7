#include "experiments/program.hpp"

#include <cstring>

#include "core/round_up.hpp"
#include "experiments/layers/basic.hpp"
#include "kernels/token_shift.hpp"

namespace metascale {
namespace {

std::size_t aligned(std::size_t bytes) { return round_up<std::size_t>(bytes, 64); }

Tensor last_of_rows(Tape& tape, const Tensor& x) {
  const Tensor y = tape.activation({x.shape[0], x.shape[2]});
  tape.run(LastToken{.y = y, .x = x});
  return y;
}

}  // namespace

Program::Program(const ModelConfig& model, const ProgramOptions& options, ParameterList& list)
    : options_(options), tape_(options.tape, list) {
  const Shape shape{options.rows, options.context};
  const auto input = [&](const char* name, Dtype dtype) {
    externals_.push_back(tape_.input(name, shape, dtype));
    return externals_.back();
  };
  tokens_ = input("tokens", Dtype::i32);
  if (options.reset_at_documents) {
    if (options.carry_state || options.cache)
      throw Error(
          "a program whose state goes on from one execution to the next cannot reset it at "
          "documents: generation has one document");
    first_positions_ = input("first_positions", Dtype::i32);
  }
  const KeyValueCache cache{.capacity = options.cache, .position = &position_};
  Forward context{.tape = tape_,
                  .config = model,
                  .carry_state = options.carry_state,
                  .cache = options.cache ? &cache : nullptr,
                  .first_positions = first_positions_};
  const ModelOutput output = forward(context, tokens_);
  if (options.logits) {
    const bool last = options.last_logits;
    logits_ = linear(tape_, last ? last_of_rows(tape_, output.hidden) : output.hidden, output.head);
    tape_.keep(logits_);
  } else {
    targets_ = input("targets", Dtype::i32);
    if (options.tape.training) scales_ = input("scales", options.tape.dtype);
    losses_ = classifier(tape_, output.hidden, output.head, targets_, scales_);
  }
  tape_.finish();
  if (options.state_of) return;
  for (const auto& [name, state] : tape_.carried_states()) {
    externals_.push_back(state.before);
    if (state.after.buffer != state.before.buffer) externals_.push_back(state.after);
  }
}

std::size_t Program::bytes() const { return aligned(tape_.planned_bytes()) + input_bytes(); }

std::size_t Program::input_bytes() const {
  std::size_t sum = 0;
  for (const Tensor& tensor : externals_) sum += aligned(tensor.bytes());
  return sum;
}

void Program::allocate(Device device, const ParameterMemory& parameters) {
  planned_ = Buffer(device, tape_.planned_bytes());
  allocate(device, parameters, planned_);
}

void Program::allocate(Device device, const ParameterMemory& parameters, const Buffer& planned) {
  if (planned.bytes() < tape_.planned_bytes())
    throw Error(concat("a program of ", tape_.planned_bytes(), " planned bytes was given ",
                       planned.bytes()));
  if (device == Device::cuda && !tape_.carried_states().empty())
    throw Error("a program that carries state runs on the CPU; use device: cpu", ExitCode::usage);
  inputs_ = Buffer(device, input_bytes());
  tape_.bind_memory(planned.data());
  tape_.bind_parameters(parameters.values.data(), parameters.gradients.data(),
                        parameters.copies.data());
  std::byte* next = inputs_.data();
  for (const Tensor& tensor : externals_) {
    tape_.bind(tensor, next);
    next += aligned(tensor.bytes());
  }
  if (options_.state_of) bind_state_of(*options_.state_of);
  if (device != Device::cuda) return;
  exchange_.emplace(options_.executions, inputs_.bytes(), result().bytes());
}

void Program::bind_state_of(const Program& owner) {
  for (const auto& [name, state] : tape_.carried_states()) {
    const Tape::Carried& theirs = owner.tape_.carried_states().at(name);
    if (theirs.before.bytes() != state.before.bytes())
      throw Error(concat("'", name, "' has ", theirs.before.bytes(), " bytes in one program and ",
                         state.before.bytes(), " in the other that goes on with it"));
    tape_.bind(state.before, owner.tape_.address(theirs.before));
    if (state.after.buffer != state.before.buffer)
      tape_.bind(state.after, owner.tape_.address(theirs.after));
  }
}

void Program::set_scale(std::int64_t index, double scale) {
  with_float_type(scales_.dtype, [&]<typename T>() { input<T>(scales_)[index] = T(scale); });
}

void Program::execute(Queue& queue, const std::function<void(std::size_t)>& after) {
  send(queue, {}, after);
  finish(queue);
}

void Program::send(Queue& queue, std::function<void()> read,
                   const std::function<void(std::size_t)>& after) {
  const auto run = [&] {
    if (exchange_ && options_.cuda_graph && !after)
      graph_.run(queue.cuda, [&] { tape_.execute(queue); });
    else
      tape_.execute(queue, after);
  };
  if (exchange_)
    return exchange_->send(queue, inputs_.data(),
                           static_cast<const std::byte*>(tape_.address(result())), run,
                           std::move(read));
  run();
  if (read) read();
}

void Program::finish(Queue& queue) {
  if (exchange_) exchange_->finish(queue);
}

void Program::forget() {
  if (exchange_) exchange_->forget();
}

double Program::value(const Tensor& tensor, const void* data, std::int64_t index) const {
  if (tensor.dtype == Dtype::bf16) return double(static_cast<const bfloat16*>(data)[index]);
  return with_float_type(tensor.dtype,
                         [&]<typename T>() { return double(static_cast<const T*>(data)[index]); });
}

double Program::result_at(std::int64_t index) const {
  return value(result(), exchange_ ? exchange_->result() : tape_.address(result()), index);
}

double Program::loss(std::int64_t index) const { return result_at(index); }
double Program::logit(std::int64_t index) const { return result_at(index); }

void Program::advance_state() {
  for (const auto& [name, state] : tape_.carried_states())
    if (state.after.buffer != state.before.buffer)
      std::memcpy(tape_.address(state.before), tape_.address(state.after), state.before.bytes());
  position_ += options_.context;
}

void Program::reset_state() {
  for (const auto& [name, state] : tape_.carried_states())
    std::memset(tape_.address(state.before), 0, state.before.bytes());
  position_ = 0;
}

void Program::poison() { std::memset(planned_.data(), 0xff, planned_.bytes()); }

std::vector<double> Program::state(const std::string& name) const {
  const auto found = tape_.carried_states().find(name);
  if (found == tape_.carried_states().end())
    throw Error(concat("the model carries no state '", name, "'"));
  std::vector<double> values;
  for (std::int64_t i = 0; i < found->second.after.size(); ++i)
    values.push_back(value(found->second.after, tape_.address(found->second.after), i));
  return values;
}

}  // namespace metascale
