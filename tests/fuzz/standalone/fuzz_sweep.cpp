// A sweep file out of any bytes: parsed, written and parsed again, read and resolved to its runs.
#include "sweeps/resolve.hpp"
#include "tests/fuzz/standalone/allocation_limit.hpp"
#include "tests/fuzz/standalone/framed_input.hpp"
#include "tests/fuzz/standalone/reads.hpp"

using namespace metascale;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text = fuzz::text_of(data, size);
  // A sweep may have 100,000 runs, however short its file.
  const fuzz::AllocationLimit limit(std::size_t(256) << 20, 256, size);
  fuzz::reads([&] {
    const Definition definition = parse_definition(text, "sweep.yaml");
    const Resolution resolution = resolve(definition);
    // What is kept beside the runs tells the same.
    const Definition again = parse_definition(definition.text, "sweep.yaml");
    if (resolve(again).runs.size() != resolution.runs.size()) std::abort();
  });
  return 0;
}
