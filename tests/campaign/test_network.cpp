// Nothing but `data corpus` asks for anything beyond this machine.
#include <catch2/catch.hpp>

#include "core/command.hpp"
#include "tests/campaign/faults.hpp"
#include "tests/support/tiny_sweep.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using testing::call_with_fault, testing::Fault, testing::Place, testing::RunsFolder, testing::Words;

const Fault unreachable{"no network", "network", "101"};  // ENETUNREACH
const Place anywhere{"", ""};

TEST_CASE("no verb that plans, trains, looks or reports asks for anything beyond this machine") {
  const RunsFolder runs;
  const std::string sweep =
      write_tiny_sweep(runs, {.lines = "analysis: {bootstrap: 100}\n"}).string();
  const std::string results = (runs.path() / "results").string(), folder = results + "/tiny";
  const Words verbs[] = {{"data", "prepare", (runs.path() / "text").string(), "--out",
                          (runs.path() / "again").string()},
                         {"check", sweep},
                         {"plan", sweep, "--results", results},
                         {"run", sweep, "--results", results},
                         {"status", folder},
                         {"report", folder},
                         {"doctor"}};
  for (const Words& words : verbs) {
    CAPTURE(words);
    const auto called = call_with_fault(runs.path(), words, unreachable, anywhere, 1);
    INFO(called.ended.text);
    CHECK(called.ended.code == 0);
    CHECK_FALSE(called.was_hit);
  }
}

TEST_CASE("the injector sees who asks for something beyond this machine") {
  const testing::TemporaryFolder folder;
  const auto is_seen = [&](const std::string& host, const std::string& number) {
    const fs::path hit = folder / "hit";
    fs::remove(hit);
    run_command(
        {"env", "LD_PRELOAD=" METASCALE_INJECTOR, "METASCALE_FAULT=network::" + number + ":101",
         "METASCALE_FAULT_HIT=" + hit.string(), "bash", "-c", "exec 3<>/dev/tcp/" + host + "/9"});
    return fs::exists(hit);
  };
  CHECK(is_seen("host.invalid", "1"));  // the question for an address [RFC 2606]
  CHECK(is_seen("192.0.2.1", "2"));     // and the connection behind it; of nobody [RFC 5737]
  CHECK_FALSE(is_seen("127.0.0.1", "2"));
}

}  // namespace
}  // namespace metascale
