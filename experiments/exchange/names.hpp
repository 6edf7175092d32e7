// Whose tensor is called what.
#pragma once

#include <string>
#include <vector>

#include "experiments/exchange.hpp"

namespace metascale::exchange {

struct ForeignTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  bool transposed = false;  // of our matrix
};

// One of our parameters in this layout.
ForeignTensor foreign_tensor(ExchangeFormat format, const ParameterSpec& ours);

// Tensors that files of this layout may hold and no model computes with: buffers, dead parameters.
bool is_unused(ExchangeFormat format, const std::string& foreign_name);

}  // namespace metascale::exchange
