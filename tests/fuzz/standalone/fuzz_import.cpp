// A foreign model out of any bytes: the first line is its config.json, the second the header of
// model.safetensors or, where it is empty, the third is model.safetensors.index.json; the rest is
// the tensors' data.
#include "core/error.hpp"
#include "experiments/exchange.hpp"
#include "tests/fuzz/standalone/allocation_limit.hpp"
#include "tests/fuzz/standalone/framed_input.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace metascale;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fs = std::filesystem;
  static const testing::TemporaryFolder folder;
  for (const char* name : {"in", "out"}) fs::remove_all(folder / name);
  fs::create_directories(folder / "in");
  std::string input = fuzz::text_of(data, size);
  if (const std::string config = fuzz::take_line(input); !config.empty())
    folder.write("in/config.json", config);
  if (const std::string header = fuzz::take_line(input); !header.empty()) {
    folder.write("in/model.safetensors", fuzz::framed(header, input));
  } else {
    folder.write("in/model.safetensors.index.json", fuzz::take_line(input));
    const std::string part = fuzz::take_line(input);
    folder.write("in/part", fuzz::framed(part, input));
  }
  const fuzz::AllocationLimit limit(std::size_t(8) << 20, 256, size);
  try {
    import_model(folder / "in", folder / "out", {});
    if (!fs::exists(folder / "out/config.yaml")) __builtin_trap();
  } catch (const Error& error) {
    if (error.code == ExitCode::internal || fs::exists(folder / "out")) __builtin_trap();
  }
  return 0;
}
