// The table of operators that bench cpu and bench gpu print.
#pragma once

#include <nlohmann/json.hpp>

#include "core/yaml.hpp"
#include "kernels/operator_bench.hpp"

namespace metascale {

enum class BenchTable { both, operators, steps };
constexpr Named<BenchTable> bench_table_names[] = {
    {"both", BenchTable::both}, {"operators", BenchTable::operators}, {"steps", BenchTable::steps}};

struct OperatorTable {
  bool prints = true, has_errors = false, has_times = true;  // errors: distances from the CPU
  nlohmann::json rows = nlohmann::json::array();

  void begin(const DeviceRates& rates) const;
  void add(const OperatorResult& row);
};

}  // namespace metascale
