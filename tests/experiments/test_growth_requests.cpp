// What may be asked to grow, and what is refused.
#include <catch2/catch.hpp>
#include <functional>

#include "experiments/growth.hpp"
#include "tests/support/golden_model.hpp"

namespace metascale {
namespace {

using testing::GoldenModel;

std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.code == ExitCode::usage);
    return error.what();
  }
  return "accepted";
}

TEST_CASE("a growth is a factor or a number, and nothing else") {
  CHECK(parse_growth_extent("2x", "heads").factor == 2);
  CHECK(parse_growth_extent("1.5x", "heads").factor == 1.5);
  CHECK(parse_growth_extent("16", "heads").extent == 16);
  for (const char* wrong : {"", "x", "0", "0.5x", "-2x", "2.5", "nan", "1e99x", "16 heads"})
    CHECK_THAT(refusal([&] { parse_growth_extent(wrong, "heads"); }),
               Catch::StartsWith("heads: '" + std::string(wrong) + "' is no growth"));
}

TEST_CASE("what shrinks, stays or does not exist is refused with its reason") {
  const ModelConfig model = GoldenModel("rwkv7_tiny").config;
  const ModelConfig transformer = GoldenModel("transformer_tiny").config;
  CHECK_THAT(refusal([&] { grown_model(model, {.heads = {.extent = 1}}); }),
             Catch::Contains("heads: 1 is no growth of 2"));
  CHECK_THAT(refusal([&] { grown_model(model, {}); }), Catch::StartsWith("nothing grows"));
  CHECK_THAT(refusal([&] { grown_model(model, {.layers = {.factor = 1}}); }),
             Catch::StartsWith("nothing grows"));
  CHECK_THAT(refusal([&] { grown_model(transformer, {.low_ranks = {.factor = 2}}); }),
             Catch::StartsWith("low_ranks"));
  ModelConfig wider = model;
  wider.width *= 2;
  CHECK_THAT(refusal([&] { Growth(model, wider, {}, 0); }), Catch::Contains("its width"));
  ModelConfig deeper = model;
  deeper.layers = 3;
  for (const std::vector<std::int64_t>& places : {std::vector<std::int64_t>{}, {-1}, {2}, {0, 1}})
    CHECK_THAT(refusal([&] { Growth(model, deeper, places, 0); }),
               Catch::StartsWith("insert_after"));
}

TEST_CASE("new blocks are spread over the old ones, none before the first") {
  CHECK(even_insertion(12, 4) == std::vector<std::int64_t>{2, 5, 8, 11});
  CHECK(even_insertion(2, 2) == std::vector<std::int64_t>{0, 1});
  CHECK(even_insertion(2, 6) == std::vector<std::int64_t>{0, 0, 0, 1, 1, 1});
  CHECK(even_insertion(3, 1) == std::vector<std::int64_t>{2});
  CHECK(even_insertion(3, 0).empty());
}

}  // namespace
}  // namespace metascale
