// A .idx out of any bytes, beside a .bin of as many bytes as the first two say.
#include <algorithm>
#include <vector>

#include "core/error.hpp"
#include "data/token_file.hpp"
#include "tests/fuzz/standalone/allocation_limit.hpp"
#include "tests/fuzz/standalone/fuzz_files.hpp"

using namespace metascale;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::vector<std::uint8_t> bin(std::size_t(data[0]) | std::size_t(data[1]) << 8, 1);
  fuzz::write("set.bin", bin);
  const auto path = fuzz::write("set.idx", {data + 2, size - 2});
  const fuzz::AllocationLimit limit(std::size_t(1) << 20, 16, size);  // 4 bytes for each of .bin
  try {
    const TokenFile file(path);
    std::vector<std::int32_t> ids(std::size_t(file.tokens()));
    file.read(0, file.tokens(), ids.data());
    for (std::int64_t token = 0; token < file.tokens(); token += 1 + file.tokens() / 64)
      file.document_of(token);
    for (std::int64_t document = 0; document < std::min<std::int64_t>(64, file.documents());
         ++document)
      file.document_begin(document);
    for (std::int64_t i = 0; i < std::min<std::int64_t>(64, file.sequences()); ++i)
      file.sequence(i);
    file.stored_document_index();
  } catch (const Error&) {
  }
  return 0;
}
