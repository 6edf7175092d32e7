// A table for `metascale fit` out of any bytes, with the law that the first of them says. Its
// columns: parameters, tokens, flops, loss, role, cell, arm.
#include "analysis/fit_table.hpp"
#include "tests/fuzz/standalone/allocation_limit.hpp"
#include "tests/fuzz/standalone/fuzz_files.hpp"
#include "tests/fuzz/standalone/reads.hpp"

using namespace metascale;

static FitTableOptions options_of(std::uint8_t choice) {
  static const char* const laws[] = {"loglog", "power", "tied", "chinchilla", "isoflop"};
  FitTableOptions options;
  options.law = laws[choice % 5];
  const bool takes_two = options.law == "tied" || options.law == "chinchilla";
  const bool is_isoflop = options.law == "isoflop";
  if (takes_two || is_isoflop) options.parameters = "parameters";
  if (takes_two) options.tokens = "tokens";
  if (!takes_two) options.flops = "flops";
  if (!is_isoflop) options.role = choice & 8 ? "role" : "";
  options.cell = choice & 16 ? "cell" : "";
  if (options.law == "chinchilla" && choice & 32) options.arm = "arm", options.role.clear();
  options.fit.draws = choice & 64 ? 1 : 0;
  options.fit.influence = false;
  options.fit.starts = 1;
  return options;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto path = fuzz::write("table.csv", {data + 1, size - 1});
  const FitTableOptions options = options_of(data[0]);
  const fuzz::AllocationLimit limit(std::size_t(4) << 20, 1024, size);
  fuzz::reads([&] {
    const FitTableResult result = fit_table(path, options);
    if (result.text().empty() || result.json().empty()) std::abort();
  });
  return 0;
}
