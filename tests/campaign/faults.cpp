#include "tests/campaign/faults.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <thread>

namespace metascale::testing {
namespace {

namespace fs = std::filesystem;

// What the next process is given.
class Variables {
 public:
  Variables(const std::string& fault, const fs::path& hit) {
    ::setenv("METASCALE_FAULT", fault.c_str(), 1);
    ::setenv("METASCALE_FAULT_HIT", hit.c_str(), 1);
    ::setenv("LD_PRELOAD", METASCALE_INJECTOR, 1);
  }
  ~Variables() {
    for (const char* name : {"METASCALE_FAULT", "METASCALE_FAULT_HIT", "LD_PRELOAD"})
      ::unsetenv(name);
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;
};

bool is_stopped(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');
  return name_end != std::string::npos && line.substr(name_end, 3) == ") T";
}

}  // namespace

Faulted call_with_fault(const fs::path& folder, const Words& words, const Fault& fault,
                        const Place& place, int number) {
  const fs::path hit = folder / "hit";
  fs::remove(hit);
  const std::string description =
      fmt::format("{}:{}:{}:{}", fault.call, place.part, number, fault.action);
  Program program = [&] {
    const Variables variables(description, hit);
    return Program(folder, words);
  }();
  wait_until([&] {
    if (is_stopped(program.process())) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      program.send(SIGCONT);
    }
    return !program.is_running();
  });
  return {.ended = program.wait(), .was_hit = fs::exists(hit)};
}

std::string outcome_name(int code) {
  if (code == 0) return "absorbed";
  if (code == int(ExitCode::saved)) return "saved";
  if (code == 128 + SIGKILL) return "killed";
  return code > 128 ? fmt::format("signal {}", code - 128) : fmt::format("exit code {}", code);
}

}  // namespace metascale::testing
