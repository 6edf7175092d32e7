#include <catch2/catch.hpp>

#include "core/error.hpp"
#include "core/match_key.hpp"

using namespace metascale;

namespace {

std::map<std::string, std::string> sample_facts() {
  return {{"data_name", "pile"},
          {"data_digest", "00ff"},
          {"data_order", "permuted 1234 1"},
          {"tokens_planned", "3000000000"},
          {"steps_planned", "6000"},
          {"tokenizer", "20B_tokenizer.json"},
          {"context", "2048"},
          {"schedule", "cosine warmup 1% final 10%"},
          {"batch_tokens", "500000"},
          {"precision", "bf16"},
          {"evaluation", "packed_windows all"},
          {"match_on", "parameters"},
          {"match_value", "150000000"},
          {"match_tolerance", "0.5%"},
          {"host", "elsewhere"}};
}

std::vector<std::string> with(const std::string& fact, const std::string& value) {
  auto other = sample_facts();
  other[fact] = value;
  return differences(match_key_of(sample_facts()), match_key_of(other));
}

}  // namespace

TEST_CASE("equal keys have no differences, whatever else the facts say") {
  CHECK(with("host", "another").empty());
  CHECK_NOTHROW(expect_complete(match_key_of(sample_facts())));
}

TEST_CASE("each entry of the key that differs is told with both values") {
  for (const MatchKeyEntry& entry : match_key_entries) {
    const auto reasons = with(std::string(entry.fact), "other");
    CAPTURE(std::string(entry.fact));
    REQUIRE(reasons.size() == 1);
    CHECK_THAT(reasons[0], Catch::StartsWith(std::string(entry.words) + " differs: ") &&
                               Catch::EndsWith(" and other"));
  }
}

TEST_CASE("what matching left over is a share of the target, and unknown without one") {
  auto facts = sample_facts();
  CHECK_FALSE(match_residual(facts));
  facts["match_target"] = "150500000";
  REQUIRE(match_residual(facts));
  CHECK(*match_residual(facts) == Approx(-0.5 / 150.5));
  facts["match_target"] = "0";
  CHECK_FALSE(match_residual(facts));
  CHECK(differences(match_key_of(sample_facts()), match_key_of(facts)).empty());  // not compared
}

TEST_CASE("the matched quantity is compared within the tolerance") {
  CHECK(with("match_value", "150700000").empty());
  CHECK(
      with("match_value", "151000000") ==
      std::vector<std::string>{"parameters differ by 0.662 % (1.5e+08 and 1.51e+08), more than the "
                               "tolerance of 0.5 %"});
  CHECK(with("match_tolerance", "0.001").empty());
  CHECK_THAT(with("match_value", "many").at(0), Catch::Contains("match_value is not a number"));
}

TEST_CASE("the stricter of two tolerances counts") {
  auto strict = sample_facts(), loose = sample_facts();
  strict["match_tolerance"] = "0.1%";
  loose["match_value"] = "150300000";
  CHECK(differences(match_key_of(strict), match_key_of(loose)).size() == 1);
  CHECK(differences(match_key_of(loose), match_key_of(strict)).size() == 1);
}

TEST_CASE("what was not logged is a difference, even in both") {
  auto facts = sample_facts();
  facts.erase("tokenizer");
  const MatchKey key = match_key_of(facts);
  CHECK(differences(key, match_key_of(sample_facts())) ==
        std::vector<std::string>{"tokenizer differs: not logged and 20B_tokenizer.json"});
  CHECK(differences(key, key) ==
        std::vector<std::string>{"tokenizer is unknown: not logged and not logged"});
  CHECK_THROWS_WITH(expect_complete(key), Catch::Contains("'tokenizer'"));
}

TEST_CASE("what one sweep does not ask to be identical is not compared") {
  auto all = sample_facts(), some = sample_facts();
  some["match_identical"] = "data_order tokenizer context";
  some["schedule"] = "wsd", some["batch_tokens"] = "1", some["steps_planned"] = "2";
  CHECK(differences(match_key_of(some), match_key_of(some)).empty());
  CHECK(differences(match_key_of(all), match_key_of(some)).empty());
  some["tokenizer"] = "bytes", some["match_on"] = "training_flops";
  CHECK(differences(match_key_of(some), match_key_of(all)).size() == 2);
  all["match_identical"] = "data_order context schedule";
  CHECK(differences(match_key_of(some), match_key_of(all)) ==
        std::vector<std::string>{"matched quantity differs: training_flops and parameters"});
}

TEST_CASE("a sweep that lists no identical entries still compares the matched quantity") {
  auto facts = sample_facts(), other = sample_facts();
  facts["match_identical"] = "", other["tokenizer"] = "bytes", other["match_value"] = "1";
  const auto reasons = differences(match_key_of(facts), match_key_of(other));
  REQUIRE(reasons.size() == 1);
  CHECK_THAT(reasons[0], Catch::StartsWith("parameters differ by"));
}
