// What bench cpu and bench gpu print and refuse. How fast anything is, no test says.
#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/program.hpp"

namespace metascale {
namespace {

using Catch::Contains;
using nlohmann::json;
using testing::call_program, testing::Ended, testing::RunsFolder, testing::Words;

TEST_CASE("bench refuses a size, an architecture and a precision that there is not") {
  const RunsFolder runs;
  const Words words = GENERATE(values<Words>({{"bench", "gpu", "--size", "151M"},
                                              {"bench", "gpu", "--architecture", "rwkv8"},
                                              {"bench", "cpu", "--size", "5M"},
                                              {"bench", "cpu", "--json", "--architecture", "rwkv8"},
                                              {"bench", "cpu", "--micro-batch", "3"},
                                              {"bench", "cpu", "--precision", "f16"}}));
  const Ended ended = call_program(runs.path(), words);
  INFO(ended.text);
  CHECK(ended.code == 2);
  CHECK_THAT(ended.text, Contains(words.back() + " not in {"));
}

TEST_CASE("bench cpu tells each operator's share of the bound that a copy and a product set") {
  const RunsFolder runs;
  const Ended ended = call_program(
      runs.path(), {"bench", "cpu", "--only", "operators", "--family", "self-state", "--json"});
  INFO(ended.text);
  REQUIRE(ended.code == 0);
  const json result = json::parse(ended.text);
  CHECK_FALSE(result.contains("steps"));
  REQUIRE(result.at("operators").size() == 2);  // products in f32 and in bf16
  for (const json& table : result["operators"]) {
    REQUIRE(table.at("operators").size() == 4);
    for (const json& row : table["operators"]) {
      const auto number = [&](const json& from, const char* key) {
        return from.at(key).get<double>();
      };
      CHECK_THAT(row.at("operator").get<std::string>(), Catch::StartsWith("self-state "));
      CHECK(number(row, "seconds") > 0);
      const double share =
          std::max(number(row, "bytes_per_second") / number(table, "copy_bytes_per_second"),
                   number(row, "flops_per_second") / number(table, "product_flops_per_second"));
      CHECK(number(row, "share_of_bound") == Approx(share));
    }
  }
  const Ended none = call_program(runs.path(), {"bench", "cpu", "--family", "norme"});
  CHECK(none.code == 2);
  CHECK_THAT(none.text, Contains("--family norme: no operator's name holds this"));
}

TEST_CASE("bench step tells time and memory by the model's size and by the batch") {
  const RunsFolder runs;
  const Words words{"bench", "step", "--architecture", "rwkv7", "--seconds", "0", "--widths", "32",
                    "64",    "96",   "--batches",      "1",     "2",         "4", "--json"};
  const Ended ended = call_program(runs.path(), words);
  INFO(ended.text);
  REQUIRE(ended.code == 0);
  const json curves = json::parse(ended.text).at("curves");
  REQUIRE(curves.size() == 2);
  const std::vector<std::int64_t> batches{256, 512, 1024};
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(curves[1].at("points")[i].at("size") == batches[i]);
    for (const json& curve : curves) {
      const json& point = curve.at("points")[i];
      CHECK(point.at("seconds_per_token").get<double>() > 0);
      CHECK((i > 0) == (point.at("size") > curve["points"][0].at("size")));
    }
  }
  CHECK(curves[0].at("grows") == "parameters");
  CHECK(curves[0].at("seconds").at("exponent").get<double>() > 0);
  const Ended odd = call_program(runs.path(), {"bench", "step", "--widths", "33"});
  CHECK(odd.code == 2);
  CHECK_THAT(odd.text, Contains("--widths: must be a multiple of 32"));
}

TEST_CASE("bench gpu where there is no GPU ends with one sentence that says so") {
  const RunsFolder runs;
  const Ended ended =
      call_program(runs.path(), {"bench", "gpu", "--check", "--family", "self-state"});
  if (ended.code == 0) {  // there is one
    CHECK_THAT(ended.text, Contains("self-state"));
    return;
  }
  CHECK(ended.code == 69);
  CHECK_THAT(ended.text, Contains("device 'cuda' was asked for, but"));
  CHECK(std::count(ended.text.begin(), ended.text.end(), '\n') == 1);
}

}  // namespace
}  // namespace metascale
