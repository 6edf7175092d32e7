// A saved state of a generation out of any bytes: the first decides between a recurrent model and a
// Transformer, the line after it is the header.
#include <cmath>

#include "core/error.hpp"
#include "experiments/generation.hpp"
#include "tests/fuzz/standalone/allocation_limit.hpp"
#include "tests/fuzz/standalone/framed_input.hpp"
#include "tests/fuzz/standalone/fuzz_files.hpp"
#include "tests/fuzz/standalone/small_model.hpp"

using namespace metascale;

static void restore(LoadedModel& model, const std::string& bytes) {
  const auto path = fuzz::write("state", fuzz::bytes_of(bytes));
  Generator generator(model, 1);
  const fuzz::AllocationLimit limit(std::size_t(1) << 20, 256, bytes.size());
  try {
    generator.restore_state(path);
    if (generator.position() < 0 || generator.logits().size() != 4) __builtin_trap();
    generator.read(1);
    generator.save_state(path);
  } catch (const Error& error) {
    if (error.code == ExitCode::internal) __builtin_trap();
  }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static LoadedModel recurrent = fuzz::small_model(Architecture::meta_state),
                     transformer = fuzz::small_model(Architecture::transformer);
  if (size == 0) return 0;
  LoadedModel& model = data[0] == 't' ? transformer : recurrent;
  std::string input = fuzz::text_of(data + 1, size - 1);
  const std::string header = fuzz::take_line(input);
  restore(model, fuzz::framed(header, input));
  return 0;
}
