// A run folder out of any bytes: the first line is its checkpoint.json, which is sealed as a forger
// would, the rest its config.yaml. The tensors are those that the small model has.
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/json_text.hpp"
#include "experiments/checkpoint.hpp"
#include "experiments/stored_model.hpp"
#include "tests/fuzz/standalone/allocation_limit.hpp"
#include "tests/fuzz/standalone/framed_input.hpp"
#include "tests/fuzz/standalone/fuzz_files.hpp"
#include "tests/fuzz/standalone/small_model.hpp"

using namespace metascale;

static std::string sealed(const std::string& line) {
  nlohmann::json document = parse_json(line);
  if (!document.is_object()) return line;
  document.erase("xxh3_128");
  const std::string text = document.dump();
  document["xxh3_128"] = to_hex(xxh3_128(text.data(), text.size()));
  return document.dump();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::SmallRun run(Architecture::meta_state);
  std::string input = fuzz::text_of(data, size);
  const std::string state = fuzz::take_line(input);
  run.write("checkpoints/step-0000000008/checkpoint.json", sealed(state));
  run.write("config.yaml", input);
  const fuzz::AllocationLimit limit(std::size_t(8) << 20, 256, size);
  try {
    const StoredModel stored = find_model(run.path());
    if (stored.step != 8) __builtin_trap();
    load_model(stored, Dtype::f32);
  } catch (const Error& error) {
    if (error.code == ExitCode::internal) __builtin_trap();
  }
  return 0;
}
