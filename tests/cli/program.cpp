#include "tests/cli/program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include "core/atomic_file.hpp"

namespace metascale::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

fs::path fresh_output(const fs::path& folder) {
  for (int number = 1;; ++number) {
    const fs::path path = folder / fmt::format("output-{}.txt", number);
    if (!fs::exists(path)) return path;
  }
}

}  // namespace

bool came_true(const std::function<bool()>& condition, std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

Program::Program(const fs::path& folder, const Words& arguments)
    : output_(fresh_output(folder)),
      child_({.program = METASCALE_PROGRAM,
              .arguments = arguments,
              .environment = {"OMP_NUM_THREADS=1"},
              .output = output_,
              .cores = {}}) {}

Ended Program::wait(std::chrono::seconds limit) {
  const bool has_ended = came_true([&] { return !is_running(); }, limit);
  const std::string text = read_file(output_);
  INFO(text);
  REQUIRE(has_ended);
  return {.code = *child_.poll(), .text = text};
}

Ended call_program(const fs::path& folder, const Words& arguments, std::chrono::seconds limit) {
  return Program(folder, arguments).wait(limit);
}

void wait_until(const std::function<bool()>& condition) { REQUIRE(came_true(condition, 60s)); }

std::size_t journal_lines(const fs::path& run_folder) {
  std::ifstream file(run_folder / "journal.jsonl", std::ios::binary);
  return std::size_t(std::count(std::istreambuf_iterator<char>(file), {}, '\n'));
}

}  // namespace metascale::testing
