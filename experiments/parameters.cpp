#define EIGEN_DONT_PARALLELIZE  // its sums would have another order for each number of threads

#include "experiments/parameters.hpp"

#include <Eigen/Dense>
#include <cmath>

#include "core/random.hpp"
#include "kernels/elementwise.hpp"

namespace metascale {
namespace {

void fill_elements(const ParameterList::Entry& entry, std::uint64_t seed, double* values) {
  const std::int64_t count = entry.spec.shape.size();
  const Initial& initial = entry.spec.initial;
  const RandomStream random(seed, stream_of(entry.spec.name));
  switch (initial.kind) {
    case Initial::Kind::elements:
      for (std::int64_t i = 0; i < count; ++i) values[i] = initial.at(i);
      return;
    case Initial::Kind::normal:
      for (std::int64_t i = 0; i < count; ++i)
        values[i] = initial.scale * random.normal(std::uint64_t(i));
      return;
    case Initial::Kind::uniform:
      for (std::int64_t i = 0; i < count; ++i)
        values[i] = initial.scale * (2 * random.uniform(std::uint64_t(i)) - 1);
      return;
    case Initial::Kind::semi_orthogonal:
      semi_orthogonal(values, entry.spec.shape[0], entry.spec.shape[1], initial.scale, seed,
                      stream_of(entry.spec.name));
      return;
  }
}

}  // namespace

const ParameterList::Entry& ParameterList::declare(const ParameterSpec& spec) {
  for (const Entry& entry : entries_)
    if (entry.spec.name == spec.name) {
      if (entry.spec.shape != spec.shape)
        throw Error(concat("parameter ", spec.name, " was declared as ", entry.spec.shape,
                           " and again as ", spec.shape));
      return entry;
    }
  entries_.push_back({spec, arena_elements_});
  arena_elements_ += (spec.shape.size() + alignment - 1) / alignment * alignment;
  return entries_.back();
}

const ParameterList::Entry& ParameterList::find(const std::string& name) const {
  for (const Entry& entry : entries_)
    if (entry.spec.name == name) return entry;
  throw Error(concat("the model has no parameter '", name, "'"), ExitCode::bad_input);
}

std::int64_t ParameterList::count() const {
  std::int64_t sum = 0;
  for (const Entry& entry : entries_) sum += entry.spec.shape.size();
  return sum;
}

std::int64_t ParameterList::non_embedding_count() const {
  std::int64_t sum = 0;
  for (const Entry& entry : entries_)
    if (!entry.spec.embedding) sum += entry.spec.shape.size();
  return sum;
}

ParameterMemory::ParameterMemory(const ParameterList& list, Device device, Dtype dtype,
                                 bool with_copies, std::optional<std::int64_t> moments)
    : device(device), dtype(dtype), elements(list.arena_elements()) {
  const std::size_t bytes = std::size_t(elements) * size_of(dtype);
  values = Buffer(device, bytes);
  gradients = Buffer(device, bytes);
  const std::size_t moment_bytes = std::size_t(moments.value_or(elements)) * size_of(dtype);
  m = Buffer(device, moment_bytes);
  v = Buffer(device, moment_bytes);
  if (with_copies) copies = Buffer(device, std::size_t(elements) * size_of(Dtype::bf16));
}

Tensor ParameterMemory::tensor(const Buffer& arena, const ParameterList::Entry& entry) const {
  return {.data = arena.data() + std::size_t(entry.offset) * size_of(dtype),
          .shape = entry.spec.shape,
          .dtype = dtype};
}

Tensor ParameterMemory::whole(const Buffer& arena) const {
  return {.data = arena.data(), .shape = {elements}, .dtype = dtype};
}

void ParameterMemory::round_copies(Queue& queue, std::int64_t step) const {
  if (copies.bytes() == 0) return;
  const Tensor all{.data = copies.data(), .shape = {elements}, .dtype = Dtype::bf16};
  run(queue, Cast{.y = all, .x = whole(values), .rounding = rounding(step, 0)});
}

std::vector<double> initial_values(const ParameterList::Entry& entry, std::uint64_t seed) {
  std::vector<double> values(std::size_t(entry.spec.shape.size()));
  fill_elements(entry, seed, values.data());
  return values;
}

void initialise(const ParameterList& list, ParameterMemory& memory, std::uint64_t seed) {
  for (const auto& entry : list.entries()) {
    const std::vector<double> values = initial_values(entry, seed);
    with_float_type(memory.dtype, [&]<typename T>() {
      T* target = memory.tensor(memory.values, entry).pointer<T>();
      for (std::size_t i = 0; i < values.size(); ++i) target[i] = T(values[i]);
    });
  }
}

// Twice Q = G R^-1 with R^T R = G^T G (Cholesky-QR): the distribution of the QR factor of a
// Gaussian.
void semi_orthogonal(double* values, std::int64_t rows, std::int64_t columns, double gain,
                     std::uint64_t seed, std::uint64_t stream) {
  using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const bool wide = columns > rows;
  Eigen::MatrixXd q(wide ? columns : rows, wide ? rows : columns);  // tall
  const RandomStream random(seed, stream);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      (wide ? q(c, r) : q(r, c)) = random.normal(std::uint64_t(r * columns + c));
  for (int pass = 0; pass < 2; ++pass) {
    const Eigen::LLT<Eigen::MatrixXd> gram(q.transpose() * q);
    q = gram.matrixU().solve<Eigen::OnTheRight>(q).eval();
  }
  Eigen::Map<RowMajor> target(values, rows, columns);
  if (wide)
    target = gain * q.transpose();
  else
    target = gain * q;
}

}  // namespace metascale
