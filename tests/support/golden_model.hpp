// A model and its reference results out of tests/golden/model (made by an independent
// implementation in float64; results carry 35 mantissa bits).
#pragma once

#include <string>

#include "core/hdf5.hpp"
#include "experiments/program.hpp"

namespace metascale::testing {

struct GoldenModel {
  Hdf5Reader file;
  ModelConfig config;
  std::int64_t rows, context;

  explicit GoldenModel(const std::string& name);
  std::vector<double> values(const std::string& dataset) const {
    return file.read_array(dataset).values;
  }
  // Copies params/* into memory, which list's parameters must match name by name.
  void load_parameters(const ParameterList& list, ParameterMemory& memory) const;
  // Tokens, targets and (training) scales of the mean loss.
  void fill_inputs(Program& program) const;
};

double largest(const std::vector<double>& values);  // max |x|
// max |a - b| / max |b|
double relative_error(const std::vector<double>& a, const std::vector<double>& b);
std::vector<double> to_doubles(const Tensor& tensor);

}  // namespace metascale::testing
