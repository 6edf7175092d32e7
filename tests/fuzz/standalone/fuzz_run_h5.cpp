// run.h5. Damaged: any bytes, which must be refused before HDF5 sees them unless their seal is
// whole. Forged: a whole HDF5 file with a whole seal, whose groups, columns and attributes the
// input names, one a line: KIND PATH VALUE,VALUE,... (HDF5's own structures are as HDF5 writes
// them: 1.10 crashes on others, and only who can seal can make us read them.)
#include <charconv>
#include <vector>

#include "core/hdf5.hpp"
#include "core/run_file.hpp"
#include "core/seal.hpp"
#include "tests/fuzz/standalone/allocation_limit.hpp"
#include "tests/fuzz/standalone/framed_input.hpp"
#include "tests/fuzz/standalone/fuzz_files.hpp"
#include "tests/fuzz/standalone/reads.hpp"

using namespace metascale;

static std::string take_part(std::string& text, char end) {
  const std::size_t at = std::min(text.find(end), text.size());
  std::string part = text.substr(0, at);
  text.erase(0, std::min(at + 1, text.size()));
  return part;
}

template <typename T>
static std::vector<T> numbers(std::string text) {
  std::vector<T> values;
  while (!text.empty()) {
    const std::string word = take_part(text, ',');
    T value{};
    std::from_chars(word.data(), word.data() + word.size(), value);
    values.push_back(value);
  }
  return values;
}

static std::vector<std::string> words(std::string text) {
  std::vector<std::string> values;
  while (!text.empty()) values.push_back(take_part(text, ','));
  return values;
}

static void write_line(Hdf5Writer& file, std::string line) {
  const std::string kind = take_part(line, ' ');
  std::string path = take_part(line, ' ');
  if (kind == "group") return file.create_group(path);
  if (kind == "double") return file.write(path, numbers<double>(line));
  if (kind == "int32") return file.write(path, numbers<std::int32_t>(line));
  if (kind == "int64") return file.write(path, numbers<std::int64_t>(line));
  if (kind == "uint64") return file.write(path, numbers<std::uint64_t>(line));
  if (kind == "uint8") return file.write(path, numbers<std::uint8_t>(line));
  if (kind == "strings") return file.write_strings(path, words(line));
  if (kind == "text") return file.write_string(path, line);
  const std::string object = take_part(path, '@');
  if (kind == "word") return file.attribute(object, path, line);
  std::vector<std::int64_t> number = numbers<std::int64_t>(line);
  if (kind == "number" && !number.empty()) file.attribute(object, path, number[0]);
}

static void read_damaged(const std::string& bytes) {
  std::string sealed = bytes.size() < seal_bytes ? "" : bytes.substr(0, bytes.size() - seal_bytes);
  append_seal(sealed);
  if (sealed == bytes) return;
  const auto path = fuzz::write("run.h5", fuzz::bytes_of(bytes));
  const fuzz::AllocationLimit limit(std::size_t(1) << 16, 4, bytes.size());
  try {
    read_run_file(path);
    std::abort();
  } catch (const Error& error) {
    if (error.code != ExitCode::bad_input) std::abort();
  }
}

static void read_forged(std::string input) {
  std::string bytes;
  try {
    Hdf5Writer file("run.h5");
    for (int line = 0; line < 200 && !input.empty(); ++line)
      write_line(file, fuzz::take_line(input));
    bytes = file.finish();
  } catch (const Error&) {
    return;  // no such file can be written
  }
  append_seal(bytes);
  const auto path = fuzz::write("run.h5", fuzz::bytes_of(bytes));
  const fuzz::AllocationLimit limit(std::size_t(4) << 20, 1200, bytes.size());  // deflate
  RunLog log;
  if (!fuzz::reads([&] { log = read_run_file(path); })) return;
  write_run_file(path, log);
  const RunLog again = read_run_file(path);
  if (again.steps.size() != log.steps.size() || again.configuration != log.configuration ||
      again.facts != log.facts || again.events.size() != log.events.size())
    std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input = fuzz::text_of(data, size);
  read_damaged(input);
  read_forged(input);
  return 0;
}
