#include "experiments/tape.hpp"

#include <algorithm>
#include <set>

#include "core/round_up.hpp"

namespace metascale {
namespace {

constexpr std::size_t alignment = 64;

bool writes(Use use) { return use != Use::read; }

[[noreturn]] void refuse_shared() {
  throw Error(
      "share_gradient: the summand is read by another operator too, so that its gradient is "
      "not the sum's");
}

}  // namespace

Tape::Tape(TapeOptions options, ParameterList& parameters)
    : options_(options), parameters_(parameters) {}

Tensor Tape::add_buffer(Home home, Shape shape, Dtype dtype, std::int64_t offset) {
  Tensor tensor{.shape = shape, .dtype = dtype, .buffer = std::int32_t(buffers_.size())};
  buffers_.push_back(
      {.home = home, .bytes = round_up(tensor.bytes(), alignment), .offset = offset});
  return tensor;
}

Tensor Tape::internal(Shape shape, Dtype dtype) {
  return add_buffer(Home::planned, shape, dtype, 0);
}

Tensor Tape::input(const std::string&, Shape shape, Dtype dtype) {
  return add_buffer(Home::external, shape, dtype, 0);
}

Tape::Carried Tape::carried(const std::string& name, Shape shape) {
  const Carried state{.before = add_buffer(Home::external, shape, options_.dtype, 0),
                      .after = add_buffer(Home::external, shape, options_.dtype, 0)};
  if (!carried_.emplace(name, state).second)
    throw Error(concat("carried state '", name, "' was declared twice"));
  return state;
}

Tensor Tape::kept_state(const std::string& name, Shape shape) {
  const Tensor state = add_buffer(Home::external, shape, options_.dtype, 0);
  if (!carried_.emplace(name, Carried{.before = state, .after = state}).second)
    throw Error(concat("carried state '", name, "' was declared twice"));
  return state;
}

Tensor Tape::parameter(const ParameterSpec& spec) {
  const auto& entry = parameters_.declare(spec);
  const Tensor value = add_buffer(Home::parameter, spec.shape, options_.dtype, entry.offset);
  gradients_[value.buffer] =
      add_buffer(Home::parameter_gradient, spec.shape, options_.dtype, entry.offset);
  return value;
}

Tensor Tape::operand(const Tensor& parameter) {
  if (!options_.bf16_storage) return parameter;
  const BufferRecord& record = buffers_.at(std::size_t(parameter.buffer));
  if (record.home != Home::parameter) throw Error("Tape::operand: not a parameter");
  return add_buffer(Home::parameter_copy, parameter.shape, Dtype::bf16, record.offset);
}

void Tape::append(std::unique_ptr<Step> step) {
  if (!renamed_.empty())
    step->visit([&](const char*, Tensor& tensor, Use) {
      if (const auto found = renamed_.find(tensor.buffer); found != renamed_.end())
        tensor.buffer = found->second;
    });
  steps_.push_back(std::move(step));
  recomputed_.push_back(false);
}

void Tape::on_backward(std::function<void()> record) {
  if (options_.training) closures_.push_back({std::move(record), block_});
}

Tensor Tape::gradient(const Tensor& x) {
  auto found = gradients_.find(x.buffer);
  if (found == gradients_.end()) {
    if (buffers_.at(std::size_t(x.buffer)).home != Home::planned)
      throw Error("the gradient of an input was asked for; inputs have none");
    found = gradients_.emplace(x.buffer, internal(x.shape, x.dtype)).first;
  }
  return found->second.reshaped(x.shape);
}

bool Tape::has_gradient(const Tensor& x) const { return gradients_.contains(x.buffer); }

void Tape::share_gradient(const Tensor& x, const Tensor& y) {
  if (!gradients_.emplace(x.buffer, gradient(y).reshaped(x.shape)).second) refuse_shared();
  shared_.emplace(gradient(y).buffer, steps_.empty() ? nullptr : steps_.back().get());
}

// Nothing may be added to a gradient once it is shared.
void Tape::check_shared_gradients() const {
  std::set<std::int32_t> shared;
  for (const auto& step : steps_) {
    step->visit([&](const char*, Tensor& tensor, Use use) {
      if (use == Use::add && shared.contains(tensor.buffer)) refuse_shared();
    });
    for (const auto& [buffer, last] : shared_)
      if (last == step.get()) shared.insert(buffer);
  }
}

void Tape::begin_block() {
  block_ = int(blocks_.size());
  blocks_.push_back({steps_.size(), steps_.size()});
}

void Tape::end_block() {
  blocks_.back().end = steps_.size();
  block_ = -1;
}

void Tape::finish() {
  if (finished_) throw Error("Tape::finish was called twice");
  finished_ = true;
  for (const auto& step : steps_) forward_cost_ += step->cost();
  record_backward();
  check_shared_gradients();
  drop_unread_recomputations();
  for (const auto& step : steps_) total_cost_ += step->cost();
  mark_fresh_gradients();
  find_lifetimes();
  assign_offsets();
}

void Tape::record_backward() {
  int recomputing = -1;
  for (auto closure = closures_.rbegin(); closure != closures_.rend(); ++closure) {
    if (closure->block != recomputing) {
      renamed_.clear();
      recomputing = closure->block;
      if (recomputing >= 0 && options_.recompute == Recompute::block) recompute_block(recomputing);
    }
    closure->record();
  }
  renamed_.clear();
  closures_.clear();
}

// Records the block's forward once more into new buffers; until the next block, every operator that
// mentions one of the block's own buffers is led to its copy, so the first one need not be kept.
void Tape::recompute_block(int block) {
  std::map<std::int32_t, std::int32_t> renamed;
  for (std::size_t i = blocks_[std::size_t(block)].begin; i < blocks_[std::size_t(block)].end;
       ++i) {
    auto step = steps_[i]->clone();
    step->visit([&](const char*, Tensor& tensor, Use use) {
      const auto home = buffers_[std::size_t(tensor.buffer)].home;
      if (writes(use) && home == Home::planned && !renamed.contains(tensor.buffer))
        renamed[tensor.buffer] = internal(tensor.shape, tensor.dtype).buffer;
      if (writes(use) && home == Home::external) tensor = Tensor{};  // carried state: written once
      if (const auto found = renamed.find(tensor.buffer); found != renamed.end())
        tensor.buffer = found->second;
    });
    steps_.push_back(std::move(step));
    recomputed_.push_back(true);
  }
  renamed_ = std::move(renamed);
}

void Tape::drop_unread_recomputations() {
  std::set<std::int32_t> read;
  std::vector<bool> keep(steps_.size(), true);
  for (std::size_t i = steps_.size(); i-- > 0;) {
    bool needed = !recomputed_[i];
    steps_[i]->visit([&](const char*, Tensor& tensor, Use use) {
      if (writes(use) && use != Use::scratch && read.contains(tensor.buffer)) needed = true;
    });
    keep[i] = needed;
    if (needed)
      steps_[i]->visit([&](const char*, Tensor& tensor, Use use) {
        if (use == Use::read || use == Use::add) read.insert(tensor.buffer);
      });
  }
  std::vector<std::unique_ptr<Step>> kept;
  for (std::size_t i = 0; i < steps_.size(); ++i)
    if (keep[i]) kept.push_back(std::move(steps_[i]));
  steps_ = std::move(kept);
}

// The first operator that adds to a planned gradient finds nothing there: it assigns.
void Tape::mark_fresh_gradients() {
  std::set<std::int32_t> written;
  for (const auto& step : steps_)
    step->visit([&](const char* field, Tensor& tensor, Use use) {
      if (buffers_[std::size_t(tensor.buffer)].home != Home::planned) return;
      const bool first = !written.contains(tensor.buffer);
      if (first && use == Use::read)
        throw Error(concat(step->name(), ".", field, " is read before anything was written to it"));
      if (first && use == Use::add) tensor.fresh = true;
      if (use == Use::write || use == Use::add) written.insert(tensor.buffer);
    });
}

void Tape::find_lifetimes() {
  for (std::size_t i = 0; i < steps_.size(); ++i)
    steps_[i]->visit([&](const char*, Tensor& tensor, Use) {
      auto& buffer = buffers_[std::size_t(tensor.buffer)];
      if (buffer.first < 0) buffer.first = std::int64_t(i);
      buffer.last = std::int64_t(i);
    });
  for (const std::int32_t kept : kept_)
    buffers_[std::size_t(kept)].last = std::int64_t(steps_.size()) - 1;
}

// Largest first, each at the lowest offset that is free during its whole life.
void Tape::assign_offsets() {
  std::vector<BufferRecord*> order;
  for (auto& buffer : buffers_)
    if (buffer.home == Home::planned && buffer.first >= 0) order.push_back(&buffer);
  std::stable_sort(order.begin(), order.end(), [](const BufferRecord* a, const BufferRecord* b) {
    return a->bytes > b->bytes;
  });
  std::vector<const BufferRecord*> placed;  // by offset
  for (BufferRecord* buffer : order) {
    std::int64_t offset = 0;
    for (const BufferRecord* other : placed) {
      if (other->last < buffer->first || other->first > buffer->last) continue;
      if (other->offset >= offset + std::int64_t(buffer->bytes)) break;
      offset = std::max(offset, other->offset + std::int64_t(other->bytes));
    }
    buffer->offset = offset;
    planned_bytes_ = std::max(planned_bytes_, std::size_t(offset) + buffer->bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), buffer,
                                   [](const BufferRecord* a, const BufferRecord* b) {
                                     return a->offset < b->offset;
                                   }),
                  buffer);
  }
}

void Tape::visit(std::size_t step,
                 const std::function<void(const char*, const Tensor&, Use)>& visitor) const {
  steps_.at(step)->visit(visitor);
}

std::string Tape::parameter_name(const Tensor& tensor) const {
  const BufferRecord& buffer = buffers_.at(std::size_t(tensor.buffer));
  if (buffer.home != Home::parameter && buffer.home != Home::parameter_copy) return "";
  for (const auto& entry : parameters_.entries())
    if (entry.offset == buffer.offset) return entry.spec.name;
  return "";
}

std::vector<std::string> Tape::operators() const {
  std::vector<std::string> names;
  for (const auto& step : steps_) names.push_back(step->name());
  return names;
}

std::vector<Tape::LiveBuffer> Tape::at_peak() const {
  std::vector<std::int64_t> change(steps_.size() + 1, 0);
  for (const auto& buffer : buffers_) {
    if (buffer.home != Home::planned || buffer.first < 0) continue;
    change[std::size_t(buffer.first)] += std::int64_t(buffer.bytes);
    change[std::size_t(buffer.last) + 1] -= std::int64_t(buffer.bytes);
  }
  std::int64_t live = 0, most = -1, peak = 0;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    live += change[i];
    if (live > most) most = live, peak = std::int64_t(i);
  }
  std::vector<LiveBuffer> result;
  for (const auto& buffer : buffers_)
    if (buffer.home == Home::planned && buffer.first >= 0 && buffer.first <= peak &&
        buffer.last >= peak)
      result.push_back({steps_[std::size_t(buffer.first)]->name(), buffer.bytes});
  std::stable_sort(result.begin(), result.end(),
                   [](const LiveBuffer& a, const LiveBuffer& b) { return a.bytes > b.bytes; });
  return result;
}

void Tape::bind_memory(std::byte* memory) {
  for (auto& buffer : buffers_)
    if (buffer.home == Home::planned) buffer.data = memory + buffer.offset;
  attach();
}

void Tape::bind_parameters(std::byte* values, std::byte* gradients, std::byte* copies) {
  if (options_.bf16_storage && copies == nullptr)
    throw Error("activations in bf16 need bf16 copies of the parameters (ParameterMemory::copies)");
  for (auto& buffer : buffers_) {
    const std::int64_t offset = buffer.offset * std::int64_t(size_of(options_.dtype));
    if (buffer.home == Home::parameter) buffer.data = values + offset;
    if (buffer.home == Home::parameter_gradient) buffer.data = gradients + offset;
    if (buffer.home == Home::parameter_copy)
      buffer.data = copies + buffer.offset * std::int64_t(size_of(Dtype::bf16));
  }
  attach();
}

void Tape::bind(const Tensor& external, void* data) {
  auto& buffer = buffers_.at(std::size_t(external.buffer));
  if (buffer.home != Home::external) throw Error("Tape::bind is for inputs and carried state");
  buffer.data = static_cast<std::byte*>(data);
  attach();
}

void Tape::attach() {
  for (const auto& step : steps_)
    step->visit([&](const char*, Tensor& tensor, Use) {
      tensor.data = buffers_[std::size_t(tensor.buffer)].data;
    });
}

void* Tape::address(const Tensor& tensor) const {
  return buffers_.at(std::size_t(tensor.buffer)).data;
}

void Tape::execute(Queue& queue, const std::function<void(std::size_t)>& after) const {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    steps_[i]->execute(queue);
    if (after) after(i);
  }
}

std::map<std::int64_t, std::size_t> Tape::gradients_ready() const {
  std::map<std::int64_t, std::size_t> ready;
  for (const BufferRecord& buffer : buffers_) {
    if (buffer.home != Home::parameter_gradient || buffer.last < 0) continue;
    auto& step = ready[buffer.offset];
    step = std::max(step, std::size_t(buffer.last));
  }
  return ready;
}

}  // namespace metascale
