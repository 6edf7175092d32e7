// A headed .bin of llm.c out of any bytes.
#include <vector>

#include "core/error.hpp"
#include "data/token_file.hpp"
#include "tests/fuzz/standalone/fuzz_files.hpp"

using namespace metascale;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto path = fuzz::folder().write("shard.bin", {data, size});
  try {
    const TokenFile file(path, {.layout = TokenLayout::llm_c});
    std::vector<std::int32_t> ids(std::size_t(file.tokens()));
    file.read(0, file.tokens(), ids.data());
  } catch (const Error&) {
  }
  return 0;
}
