// A headed .bin of llm.c out of any bytes.
#include <vector>

#include "core/error.hpp"
#include "data/token_file.hpp"
#include "tests/fuzz/standalone/allocation_limit.hpp"
#include "tests/fuzz/standalone/fuzz_files.hpp"

using namespace metascale;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto path = fuzz::write("shard.bin", {data, size});
  const fuzz::AllocationLimit limit(std::size_t(1) << 19, 16, size);
  try {
    const TokenFile file(path, {.end_of_document = 0, .layout = TokenLayout::llm_c});
    std::vector<std::int32_t> ids(std::size_t(file.tokens()));
    file.read(0, file.tokens(), ids.data());
    for (std::int64_t document = 0; document < file.documents(); ++document)
      if (file.document_of(file.document_begin(document)) != document) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}
