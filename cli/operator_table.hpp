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
  bool prints = true;
  bool of_gpu = false;  // with distances from the CPU, and in TFLOP/s
  bool has_times = true;
  nlohmann::json rows = nlohmann::json::array();  // in seconds, bytes/s, FLOP/s

  void begin(const DeviceRates& rates) const;  // prints the rates of the bound, and the head
  void add(const OperatorResult& row);         // to rows; prints it

 private:
  double unit() const { return of_gpu ? 1e12 : 1e9; }  // of the FLOP/s that are printed
};

}  // namespace metascale
