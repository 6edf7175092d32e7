// The parameters of a model: names, shapes, initial values and optimizer groups, as the model's
// forward declares them, and the flat arenas that hold their values, gradients and moments.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kernels/memory.hpp"
#include "kernels/queue.hpp"
#include "kernels/rounding.hpp"

namespace metascale {

// How a tensor starts. Values are functions of (seed, name, index): two models that share a
// tensor's name and shape start it with equal bits.
struct Initial {
  enum class Kind {
    elements,        // at(index)
    normal,          // standard deviation `scale`
    uniform,         // in (-scale, scale)
    semi_orthogonal  // QR factor of a Gaussian, shorter side orthonormal, times `scale`; rank 2
  };
  Kind kind = Kind::elements;
  double scale = 0;
  std::function<double(std::int64_t index)> at;

  static Initial constant(double value) {
    return {.at = [value](std::int64_t) { return value; }};
  }
  static Initial elements(std::function<double(std::int64_t)> at) { return {.at = std::move(at)}; }
  static Initial normal(double deviation) { return {.kind = Kind::normal, .scale = deviation}; }
  static Initial uniform(double limit) { return {.kind = Kind::uniform, .scale = limit}; }
  static Initial semi_orthogonal(double gain) {
    return {.kind = Kind::semi_orthogonal, .scale = gain};
  }
};

struct ParameterSpec {
  std::string name;
  Shape shape;
  Initial initial;
  double rate_multiplier = 1;  // of the learning rate
  bool decay = false;          // weight decay
  bool embedding = false;      // not counted in non_embedding_parameters: embedding and head
};

class ParameterList {
 public:
  struct Entry {
    ParameterSpec spec;
    std::int64_t offset = 0;  // elements from the start of every arena
  };

  // Adds a parameter, or finds the one of that name. Throws when its shape differs.
  const Entry& declare(const ParameterSpec& spec);
  const Entry& find(const std::string& name) const;  // throws where there is none

  const std::vector<Entry>& entries() const { return entries_; }
  std::int64_t arena_elements() const { return arena_elements_; }  // with padding between tensors
  std::int64_t count() const;                                      // parameters
  std::int64_t non_embedding_count() const;                        // without embedding and head

 private:
  // Elements, so that every tensor starts a cache line.
  static constexpr std::int64_t alignment = 16;
  std::vector<Entry> entries_;
  std::int64_t arena_elements_ = 0;
};

// Values, gradients, first and second moments, each one arena of list.arena_elements().
struct ParameterMemory {
  // copies: of the values in bf16, for products with activations in bf16. moments: elements of m
  // and v, where they are those of a shard [experiments/shards.hpp].
  ParameterMemory(const ParameterList& list, Device device, Dtype dtype, bool with_copies = false,
                  std::optional<std::int64_t> moments = {});

  Tensor tensor(const Buffer& arena, const ParameterList::Entry& entry) const;
  Tensor whole(const Buffer& arena) const;  // padding included: it stays zero
  // After the values were written other than by the optimizer. step: of the optimizer, the last one
  // made.
  void round_copies(Queue& queue, std::int64_t step = 0) const;
  // How the copies of these elements are rounded after that step: stochastic_copies.
  Rounding rounding(std::int64_t step, std::int64_t first_element) const {
    return {.stochastic = stochastic_copies, .step = step, .first = first_element};
  }

  Device device;
  Dtype dtype;
  std::int64_t elements;
  bool stochastic_copies = false;  // rounded stochastically, by (step, element), not to nearest
  Buffer values, gradients, m, v, copies;
};

// The values that a parameter starts with, row-major.
std::vector<double> initial_values(const ParameterList::Entry& entry, std::uint64_t seed);
// Fills the values on the CPU by each parameter's rule.
void initialise(const ParameterList& list, ParameterMemory& memory, std::uint64_t seed);

// Writes rows x columns values: shorter side orthonormal, times gain. Deterministic in (seed,
// stream).
void semi_orthogonal(double* values, std::int64_t rows, std::int64_t columns, double gain,
                     std::uint64_t seed, std::uint64_t stream);

}  // namespace metascale
