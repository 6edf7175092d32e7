#include "cli/operator_table.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace metascale {

void OperatorTable::begin(const DeviceRates& rates) const {
  if (!prints) return;
  const char* flops = of_gpu ? "TFLOP/s" : "GFLOP/s";
  if (has_times)
    fmt::print("copy {:.1f} GB/s, product {:.1f} {}; bound: the least time at these rates\n",
               1e-9 * rates.copy_bytes_per_second, rates.product_flops_per_second / unit(), flops);
  fmt::print("{:<32}", "operator");
  if (of_gpu) fmt::print(" {:>10} {:<4}", "error", "");
  if (has_times) fmt::print(" {:>10} {:>9} {:>10} {:>9}", "us", "GB/s", flops, "of bound");
  fmt::print("\n");
}

void OperatorTable::add(const OperatorResult& row) {
  nlohmann::json& line = rows.emplace_back(nlohmann::json{{"operator", row.name}});
  if (of_gpu) line.update({{"error", row.error}, {"close", row.close}});
  if (has_times)
    line.update({{"seconds", row.seconds},
                 {"bytes_per_second", row.bytes_per_second},
                 {"flops_per_second", row.flops_per_second},
                 {"share_of_bound", row.share_of_bound}});
  if (!prints) return;
  fmt::print("{:<32}", row.name);
  if (of_gpu) fmt::print(" {:>10.1e} {:<4}", row.error, row.close ? "" : "FAR");
  if (has_times)
    fmt::print(" {:>10.1f} {:>9.1f} {:>10.1f} {:>8.0f}%", 1e6 * row.seconds,
               1e-9 * row.bytes_per_second, row.flops_per_second / unit(),
               100 * row.share_of_bound);
  fmt::print("\n");
  std::fflush(stdout);
}

}  // namespace metascale
