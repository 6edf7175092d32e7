// A safetensors file out of any bytes, and one whose header is their first line.
#include "core/error.hpp"
#include "core/safetensors.hpp"
#include "tests/fuzz/standalone/allocation_limit.hpp"
#include "tests/fuzz/standalone/framed_input.hpp"
#include "tests/fuzz/standalone/fuzz_files.hpp"

using namespace metascale;

static void read_all(const std::string& bytes) {
  const auto path = fuzz::write("model.safetensors", fuzz::bytes_of(bytes));
  const fuzz::AllocationLimit limit(std::size_t(1) << 19, 64, bytes.size());
  try {
    const SafetensorsFile file(path);
    std::uint64_t sum = 0;
    for (const auto& entry : file.entries()) {
      if (file.find(entry.name) != &entry) __builtin_trap();
      std::string data(std::size_t(entry.bytes), '\0');
      file.read(entry, data.data(), data.size());
      sum += entry.bytes;
    }
    if (sum > bytes.size()) __builtin_trap();
  } catch (const Error& error) {
    if (error.code != ExitCode::bad_input) __builtin_trap();
  }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string input = fuzz::text_of(data, size);
  read_all(input);
  const std::string header = fuzz::take_line(input);
  read_all(fuzz::framed(header, input));
  return 0;
}
