// What doctor says of how the program runs here.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "core/command.hpp"

namespace metascale {
namespace {

using nlohmann::json;

// What doctor finds under this name, in an environment that env(1) makes of these words.
std::string found(const std::vector<std::string>& environment, const std::string& what) {
  std::vector<std::string> words{"env", "-u", "GOMP_SPINCOUNT", "-u", "OMP_WAIT_POLICY"};
  words.insert(words.end(), environment.begin(), environment.end());
  words.insert(words.end(), {METASCALE_PROGRAM, "doctor", "--json"});
  const CommandResult result = run_command(words);
  INFO(result.output << result.error);
  REQUIRE(result.good());
  for (const json& row : json::parse(result.output))
    if (row.at("what") == what) return row.at("found");
  return "no such line";
}

TEST_CASE("threads spin for a short time only, unless the user says how they wait") {
  CHECK(found({}, "OpenMP waits") == "GOMP_SPINCOUNT=3000");
  CHECK(found({"OMP_WAIT_POLICY=active"}, "OpenMP waits") == "OMP_WAIT_POLICY=active");
  CHECK(found({"GOMP_SPINCOUNT=7"}, "OpenMP waits") == "GOMP_SPINCOUNT=7");
}

}  // namespace
}  // namespace metascale
