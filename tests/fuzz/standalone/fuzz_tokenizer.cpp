// A tokenizer.json out of any bytes; one that is taken must give back the text that it encodes.
#include <cstdlib>
#include <vector>

#include "core/error.hpp"
#include "data/bpe_tokenizer.hpp"
#include "tests/fuzz/standalone/allocation_limit.hpp"
#include "tests/fuzz/standalone/fuzz_files.hpp"

using namespace metascale;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto path = fuzz::write("tokenizer.json", {data, size});
  const fuzz::AllocationLimit limit(std::size_t(4) << 20, 128, size);
  try {
    const auto tokenizer = read_bpe_tokenizer(path);
    const std::string text = "Hello  world's 12\nab cd\t<|endoftext|>  e\xc3\xa9";
    std::vector<std::int32_t> ids;
    tokenizer->encode(text, ids);
    if (tokenizer->decode(ids) != text) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
