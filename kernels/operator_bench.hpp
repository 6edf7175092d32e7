// Every operator, its time and its share of the bound that the rates of a copy and of a large
// product set, measured in the same run: on the CPU at the sizes of a 10M model, on a GPU at those
// of a 150M one, there with its distance from the CPU at small sizes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernels/gpu.hpp"

namespace metascale {

struct OperatorBenchmark {
  bool only_distances = false;
  Dtype storage = Dtype::bf16;  // of activations: bf16 or f32
  bool bf16_products = false;   // of f32 activations, as a CPU's bf16 runs have them
  std::string part;             // of the families' names; "": all
};

struct OperatorResult {
  std::string name;
  // max |GPU - CPU| / max |CPU| over its outputs; not finite where one of them is not.
  double error = 0;
  bool close = false;  // no further than rounding explains
  double seconds = 0;  // of one execution, the median; 0 with only_distances, and what follows
  double bytes_per_second = 0, flops_per_second = 0, share_of_bound = 0;
};

struct DeviceRates {
  double copy_bytes_per_second = 0;
  double product_flops_per_second = 0;
};
// Of 1 GiB, and of 8192^3 in the storage.
DeviceRates measure_rates(const Gpu& gpu, Dtype storage);
// Of 16 MiB, which is what an operator here meets in its caches, and of 1024^3.
DeviceRates measure_rates(const CpuQueue& cpu, bool bf16_products);

// A row per operator, each given to on_row as soon as it is there.
void measure_operators(const Gpu& gpu, const OperatorBenchmark& benchmark, const DeviceRates& rates,
                       const std::function<void(const OperatorResult&)>& on_row);
// Rows without error and close, since the CPU is what they are told by.
void measure_operators(const CpuQueue& cpu, const OperatorBenchmark& benchmark,
                       const DeviceRates& rates,
                       const std::function<void(const OperatorResult&)>& on_row);

}  // namespace metascale
