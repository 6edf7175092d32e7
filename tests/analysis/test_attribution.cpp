#include <array>
#include <catch2/catch.hpp>

#include "tests/analysis/claims_of.hpp"

using namespace metascale;
using fixture::claim;
using fixture::claims_of;
using fixture::evidence_at;
using fixture::numbers_in;
using fixture::value_at;

namespace {

struct Gains {  // of the Transformer's loss
  double plain = 0.010, shortcut = 0.016, state = 0.030;
};

std::vector<RunLog> logs_of(const Gains& gains, int seeds = 3, int controls = 1) {
  fixture::SweepTruth truth;
  truth.arms = {{"transformer", "transformer", 0, 0},
                {"rwkv7", "rwkv7", gains.plain, 0},
                {"meta_state", "meta_state", gains.state, 0}};
  for (int control = 1; control <= controls; ++control)
    truth.arms.push_back({"control" + std::to_string(control), "meta_state", gains.shortcut, 0});
  truth.sizes.resize(2);
  truth.seeds = seeds, truth.steps = 10, truth.documents = 120, truth.seed_noise = 0.0004;
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  for (RunLog& log : logs)
    log.facts["read_out"] = log.facts["arm"].starts_with("control") ? "time_mix" : "state";
  return logs;
}

}  // namespace

TEST_CASE("the gain over the Transformer is RWKV-7's part, the shortcut's and the read-out's") {
  const auto claims = claims_of(logs_of({}));
  const Claim& parts = claim(claims, "l");
  CHECK(parts.verdict == Verdict::holds);
  REQUIRE(parts.evidence.size() == 2);
  CHECK_THAT(parts.evidence[0].value, Catch::Contains("= RWKV-7 +") &&
                                          Catch::Contains("% + shortcut +") &&
                                          Catch::Contains("% + read-out +"));
  for (const Evidence& entry : parts.evidence) {
    const std::vector<double> found = numbers_in(entry.value);  // each with its interval
    REQUIRE(found.size() == 12);
    CHECK(found[0] == Approx(found[3] + found[6] + found[9]).margin(0.02));
    const std::array<double, 4> truth{3.0, 1.0, 0.6, 1.4};
    for (std::size_t part = 0; part < truth.size(); ++part)
      CHECK(found[3 * part] == Approx(truth[part]).margin(0.2));
  }
}

TEST_CASE("intervals of the parts are those of the pairs along the way") {
  const auto claims = claims_of(logs_of({}));
  const std::vector<double> parts = numbers_in(evidence_at(claim(claims, "l"), "1M"));
  REQUIRE(parts.size() == 12);
  const char* const pairs[] = {"a", "h", "k", "j"};  // relative to losses 1 to 2 % lower
  for (std::size_t part = 0; part < 4; ++part) {
    CAPTURE(pairs[part]);
    const std::vector<double> pair = numbers_in(evidence_at(claim(claims, pairs[part]), "1M"));
    for (std::size_t i = 0; i < 3; ++i)
      CHECK(parts[3 * part + i] == Approx(pair.at(i)).margin(0.12));  // 1000 draws
  }
}

TEST_CASE("a part that is not there is not decided, one below 0 does not hold") {
  CHECK(claim(claims_of(logs_of({.shortcut = 0.030})), "l").verdict != Verdict::holds);
  const auto claims = claims_of(logs_of({.plain = 0.016, .shortcut = 0.010}));
  CHECK(claim(claims, "l").verdict == Verdict::does_not_hold);
  CHECK(claim(claims, "k").verdict == Verdict::does_not_hold);
  CHECK(claim(claims, "j").verdict == Verdict::holds);
}

TEST_CASE("with one seed the parts carry the known noise of single runs") {
  const auto found = numbers_in(evidence_at(claim(claims_of(logs_of({}, 1)), "l"), "1M"));
  REQUIRE(found.size() == 12);
  for (std::size_t part = 0; part < 4; ++part)  // 2 * 1.96 * 0.35 % * sqrt 2
    CHECK(found[3 * part + 2] - found[3 * part + 1] == Approx(1.94).margin(0.25));
}

TEST_CASE("each time_mix arm has its claims, with its name") {
  const auto claims = claims_of(logs_of({}, 3, 2));
  for (const std::string letter : {"j", "k", "l"}) {
    CAPTURE(letter);
    std::vector<std::string> texts;
    for (const Claim& each : claims)
      if (each.letter == letter) {
        texts.push_back(each.text);
        CHECK(each.verdict == Verdict::holds);
      }
    REQUIRE(texts.size() == 2);
    CHECK_THAT(texts[0], Catch::EndsWith("(control1)"));
    CHECK_THAT(texts[1], Catch::EndsWith("(control2)"));
  }
}

TEST_CASE("the Meta-State layer that reads nothing stands for RWKV-7") {
  std::vector<RunLog> logs = logs_of({});
  for (RunLog& log : logs)
    if (log.facts["arm"] == "rwkv7")
      log.facts["architecture"] = "meta_state", log.facts["read_out"] = "none";
  const auto claims = claims_of(logs);
  for (const char* letter : {"a", "h", "i", "j", "k", "l"})
    CHECK(claim(claims, letter).verdict == Verdict::holds);
}

TEST_CASE("without one of its arms the decomposition says that there are no data") {
  const auto claims = claims_of(logs_of({}, 3, 0));
  for (const char* letter : {"j", "k", "l"}) {
    CHECK(claim(claims, letter).verdict == Verdict::no_data);
    CHECK_THAT(claim(claims, letter).would_decide, Catch::Contains("time_mix"));
  }
  CHECK(claim(claims, "h").verdict == Verdict::holds);
}

TEST_CASE("a size whose four arms are not matched keeps the decomposition from holding") {
  std::vector<RunLog> logs = logs_of({});
  for (RunLog& log : logs)
    if (log.facts["arm"] == "rwkv7" && log.facts["size"] == "3M") log.facts["batch_tokens"] = "1";
  const auto claims = claims_of(logs);
  CHECK(claim(claims, "l").verdict == Verdict::not_decided);
  CHECK(claim(claims, "l").evidence.size() == 1);
}

TEST_CASE("the numbers of each explanation are its arms' gains in the made-up logs, either way") {
  const Gains gains = GENERATE(Gains{}, Gains{.plain = 0.016, .shortcut = 0.010, .state = 0.004});
  const bool up = gains.state > gains.plain;
  const auto claims = claims_of(logs_of(gains));
  struct Step {
    const char *letter, *measure;
    double lower, upper;  // gains over the Transformer of what is compared
    bool holds;
  };
  const Step steps[] = {{"h", "part_of_rwkv7", 0, gains.plain, true},
                        {"k", "part_of_the_shortcut", gains.plain, gains.shortcut, up},
                        {"j", "part_of_the_read_out", gains.shortcut, gains.state, up},
                        {"i", "", gains.plain, gains.state, up}};
  const Claim& parts = claim(claims, "l");
  CHECK(parts.verdict == (up ? Verdict::holds : Verdict::does_not_hold));
  for (const Step& step : steps)
    for (const std::string size : {"1M", "3M"}) {
      CAPTURE(step.letter, size);
      const Claim& own = claim(claims, step.letter);
      CHECK(own.verdict == (step.holds ? Verdict::holds : Verdict::does_not_hold));
      const ClaimValue& alone = value_at(own, "relative_gain", size);
      CHECK(alone.value == Approx((step.upper - step.lower) / (1 - step.lower)).margin(0.0015));
      CHECK(fixture::holds_value(alone.interval, alone.value));
      if (*step.measure == 0) continue;
      const ClaimValue& part = value_at(parts, step.measure, size);
      CHECK(part.value == Approx(step.upper - step.lower).margin(0.0015));
      CHECK((part.arm == alone.arm && part.against == alone.against));
      CHECK((step.holds ? part.interval.low > 0 : part.interval.high < 0));
      CHECK_THAT(part.runs, Catch::StartsWith(part.arm + "-" + size + "-1xC-s") &&
                                Catch::Contains(" " + part.against + "-" + size + "-1xC-s"));
    }
  for (const std::string size : {"1M", "3M"}) {
    const double sum = value_at(parts, "part_of_rwkv7", size).value +
                       value_at(parts, "part_of_the_shortcut", size).value +
                       value_at(parts, "part_of_the_read_out", size).value;
    CHECK(value_at(parts, "relative_gain", size).value == Approx(sum).margin(1e-12));
  }
}
