#include "experiments/generation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/safetensors.hpp"
#include "experiments/checkpoint.hpp"
#include "experiments/plan.hpp"
#include "experiments/tensor_file.hpp"

namespace metascale {
namespace {

constexpr std::int64_t first_capacity = 256;  // tokens
constexpr std::int64_t most_tokens = std::int64_t(1) << 31;
constexpr const char* logits_name = "logits";
constexpr const char* kind_of_file = "metascale generation state 1";

StoredDtype stored(Dtype dtype) {
  return dtype == Dtype::f64 ? StoredDtype::f64 : StoredDtype::f32;
}

std::vector<std::int64_t> extents_of(const Shape& shape) {
  return {shape.extents.begin(), shape.extents.begin() + shape.rank};
}

std::string entry_of(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? "" : found->second;
}

}  // namespace

Generator::Generator(LoadedModel& model, int threads)
    : model_(model),
      capacity_(has_cache() ? first_capacity : 0),
      program_(make_program(capacity_)),
      logits_(std::size_t(model.model.vocabulary), 0.0) {
  queue_.cpu.threads = threads;
}

bool Generator::has_cache() const { return !is_recurrent(model_.model); }

std::unique_ptr<Program> Generator::make_program(std::int64_t capacity, std::int64_t tokens,
                                                 const Program* state_of) const {
  auto program = std::make_unique<Program>(
      model_.model,
      ProgramOptions{.rows = 1,
                     .context = tokens,
                     .tape = {.dtype = model_.memory.dtype, .training = false},
                     .carry_state = !has_cache(),
                     .logits = true,
                     .last_logits = tokens > 1,
                     .cache = capacity,
                     .state_of = state_of},
      model_.list);
  program->allocate(Device::cpu, model_.memory);
  return program;
}

// The part of a state that holds something: of a cache, the tokens read.
std::size_t Generator::used_bytes(const Tensor& state) const {
  return has_cache() ? state.bytes() / std::size_t(state.shape[1]) * std::size_t(position())
                     : state.bytes();
}

void Generator::grow_cache(std::int64_t capacity) {
  auto larger = make_program(capacity);
  for (const auto& [name, state] : program_->tape().carried_states())
    std::memcpy(larger->tape().address(larger->tape().carried_states().at(name).before),
                program_->tape().address(state.before), used_bytes(state.before));
  larger->set_position(position());
  program_ = std::move(larger);
  capacity_ = capacity;
}

// For so many more tokens.
void Generator::make_room(std::int64_t tokens) {
  if (!has_cache()) return;
  std::int64_t capacity = capacity_;
  while (capacity < position() + tokens) capacity *= 2;
  if (capacity > capacity_) grow_cache(capacity);
}

void Generator::expect_known(std::int32_t token) const {
  if (token >= 0 && token < model_.model.vocabulary) return;
  throw Error(fmt::format("token {} is outside of the model's vocabulary of {}; is it the model's "
                          "tokenizer?",
                          token, model_.model.vocabulary),
              ExitCode::usage);
}

void Generator::take_logits(const Program& program) {
  for (std::size_t id = 0; id < logits_.size(); ++id) logits_[id] = program.logit(std::int64_t(id));
}

void Generator::read(std::int32_t token) {
  expect_known(token);
  make_room(1);
  program_->tokens()[0] = token;
  program_->execute(queue_);
  take_logits(*program_);
  program_->advance_state();
}

void Generator::read(std::span<const std::int32_t> tokens) {
  for (const std::int32_t token : tokens) expect_known(token);
  const std::size_t whole = tokens.size() / tokens_at_once * tokens_at_once;
  if (whole > 0) read_chunks(tokens.first(whole));
  for (const std::int32_t token : tokens.subspan(whole)) read(token);
}

// A program of many tokens, in the memory of the state that the program of one token has.
void Generator::read_chunks(std::span<const std::int32_t> tokens) {
  make_room(std::int64_t(tokens.size()));
  const auto chunks = make_program(capacity_, tokens_at_once, program_.get());
  chunks->set_position(position());
  for (std::size_t begin = 0; begin < tokens.size(); begin += std::size_t(tokens_at_once)) {
    std::copy_n(tokens.begin() + std::ptrdiff_t(begin), tokens_at_once, chunks->tokens());
    chunks->execute(queue_);
    chunks->advance_state();
  }
  take_logits(*chunks);
  program_->set_position(chunks->position());
}

std::size_t Generator::state_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [name, state] : program_->tape().carried_states()) bytes += state.before.bytes();
  return bytes;
}

std::size_t Generator::carried_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [name, state] : program_->tape().carried_states())
    bytes += used_bytes(state.before);
  return bytes;
}

void Generator::save_state(const std::filesystem::path& path) const {
  std::vector<StoredTensor> tensors{{.name = logits_name,
                                     .dtype = StoredDtype::f64,
                                     .shape = {std::int64_t(logits_.size())},
                                     .data = logits_.data()}};
  for (const auto& [name, state] : program_->tape().carried_states()) {
    std::vector<std::int64_t> shape = extents_of(state.before.shape);
    if (has_cache()) shape[1] = position();
    tensors.push_back({.name = name,
                       .dtype = stored(model_.memory.dtype),
                       .shape = shape,
                       .data = program_->tape().address(state.before)});
  }
  write_safetensors(path, std::move(tensors),
                    {{"kind", kind_of_file},
                     {"model", model_identity(model_.model)},
                     {"position", fmt::format("{}", position())}});
}

void Generator::restore_state(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  const auto refuse = [&](const std::string& what) {
    return Error(
        fmt::format("{}: {}; give a file that 'generate --save-state' wrote with this model",
                    path.string(), what),
        ExitCode::bad_input);
  };
  if (entry_of(file, "kind") != kind_of_file) throw refuse("no state of a generation");
  if (entry_of(file, "model") != model_identity(model_.model))
    throw refuse(fmt::format("the state of another model ({})", entry_of(file, "model")));
  const std::string text = entry_of(file, "position");
  std::int64_t position = -1;
  std::from_chars(text.data(), text.data() + text.size(), position);
  if (position < 0 || position > most_tokens) throw refuse("position '" + text + "' is none");
  const auto& states = program_->tape().carried_states();
  for (const auto& [name, state] : states) {  // before memory is taken for them
    std::vector<std::int64_t> wanted = extents_of(state.before.shape);
    if (has_cache()) wanted[1] = position;
    const auto& entry = file.at(name);
    if (entry.shape != wanted || entry.dtype != stored(model_.memory.dtype))
      throw refuse(fmt::format("'{}' has another shape or dtype than this model's", name));
  }
  make_room(position - this->position());
  const std::vector<double> logits = read_values(file, file.at(logits_name), path);
  if (logits.size() != logits_.size()) throw refuse("it has another number of logits");
  for (const auto& [name, state] : program_->tape().carried_states()) {
    read_values(file, file.at(name), path);  // all finite
    file.read(file.at(name), program_->tape().address(state.before), file.at(name).bytes);
  }
  logits_ = logits;
  program_->set_position(position);
}

}  // namespace metascale
