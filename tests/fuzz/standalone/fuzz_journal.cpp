// A journal out of any bytes, and one of which each line has the CRC that a forger would give it
// (the input's lines then lack it; DIGEST stands for that of the one segments file that is there).
// A segments file out of the same bytes, raw and sealed.
#include <limits>

#include "core/atomic_file.hpp"
#include "core/hash.hpp"
#include "core/journal.hpp"
#include "core/seal.hpp"
#include "tests/fuzz/standalone/allocation_limit.hpp"
#include "tests/fuzz/standalone/framed_input.hpp"
#include "tests/fuzz/standalone/reads.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace metascale;

static const testing::TemporaryFolder& folder() {
  static const testing::TemporaryFolder made;
  return made;
}

static std::string digest_of_segments() {
  Evaluation evaluation;
  evaluation.segments = {{.tokens = 2, .bytes = 3, .nats = 1}, {.window = 1, .tokens = 4}};
  write_segments(folder() / "evaluations/segments.bin", evaluation);
  const std::string bytes = read_file(folder() / "evaluations/segments.bin");
  return to_hex(xxh3_128(bytes.data(), bytes.size()));
}

static std::string forged(std::string input) {
  static const std::string digest = digest_of_segments();
  std::string journal;
  while (!input.empty()) {
    std::string line = fuzz::take_line(input);
    if (const std::size_t at = line.find("DIGEST"); at != std::string::npos)
      line.replace(at, 6, digest);
    if (line.ends_with('}')) line.pop_back();
    journal += line + ",\"crc\":\"" + to_hex(crc32c(line.data(), line.size())) + "\"}\n";
  }
  return journal;
}

// A journal that can be read can be written on, and then holds one row more: of an attempt that is
// older than none of those begun.
static void read_and_append(const std::string& journal) {
  const auto path = folder().write("journal.jsonl", journal);
  const fuzz::AllocationLimit limit(std::size_t(4) << 20, 256, journal.size());
  fuzz::reads([&] { read_run_folder(folder().path()); });
  RunLog log;
  if (!fuzz::reads([&] { log = read_journal(path); })) return;
  {
    Journal appended(path);
    appended.append(Event{.time = 1,
                          .step = 2,
                          .attempt = std::numeric_limits<std::int32_t>::max(),
                          .kind = "note",
                          .message = "read"});
  }
  const RunLog again = read_journal(path);
  if (again.events.size() != log.events.size() + 1 || again.steps.size() != log.steps.size() ||
      again.evaluations.size() != log.evaluations.size())
    std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes = fuzz::text_of(data, size);
  read_and_append(bytes);
  read_and_append(forged(bytes));
  for (int sealed = 0; sealed < 2; ++sealed) {
    const auto path = folder().write("segments", bytes);
    const fuzz::AllocationLimit limit(std::size_t(1) << 20, 64, bytes.size());
    fuzz::reads([&] { read_segments(path); });
    append_seal(bytes);
  }
  return 0;
}
