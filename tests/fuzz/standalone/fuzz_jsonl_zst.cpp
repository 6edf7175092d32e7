// A .jsonl.zst out of any bytes, and the same bytes as a .jsonl: bad lines are skipped, and every
// text that comes is valid UTF-8.
#include <cstdlib>

#include "core/error.hpp"
#include "data/document_reader.hpp"
#include "data/utf8.hpp"
#include "tests/fuzz/standalone/allocation_limit.hpp"
#include "tests/fuzz/standalone/fuzz_files.hpp"

using namespace metascale;

static void read_all(const std::filesystem::path& path) {
  // A window of zstd is 8 MiB or 1024 times the file, and a line has up to 1 MiB.
  const fuzz::AllocationLimit limit(std::size_t(12) << 20, 1024, std::filesystem::file_size(path));
  try {
    DocumentReader reader({path}, {.bad_lines = BadLines::skip, .longest_line = 1 << 20});
    for (Document document; reader.next(document);)
      if (repair_utf8(document.text) != document.text) std::abort();
  } catch (const Error&) {
  }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read_all(fuzz::write("text.jsonl.zst", {data, size}));
  read_all(fuzz::write("text.jsonl", {data, size}));
  return 0;
}
