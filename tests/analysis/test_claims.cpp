#include <catch2/catch.hpp>

#include "tests/analysis/claims_of.hpp"

using namespace metascale;
using fixture::claim;
using fixture::claims_of;
using fixture::holds_value;
using fixture::value_at;

namespace {

fixture::SweepTruth sweep_with(double gain, double growth) {
  fixture::SweepTruth truth;
  truth.arms = {{"transformer", "transformer", 0, 0}, {"meta_state", "meta_state", gain, growth}};
  truth.steps = 10, truth.documents = 60, truth.seed_noise = 0.0003;
  return truth;
}

}  // namespace

TEST_CASE("a clear gain that grows holds") {
  const auto claims = claims_of(sweep_with(0.02, 0.01));
  CHECK(claim(claims, "a").verdict == Verdict::holds);
  CHECK(claim(claims, "b").verdict == Verdict::holds);
  CHECK(claim(claims, "f").verdict == Verdict::holds);
  CHECK(claim(claims, "g").verdict == Verdict::holds);
  CHECK(claim(claims, "a").evidence.size() == 5);
}

TEST_CASE("a clear loss does not hold, nor does a gain that shrinks") {
  CHECK(claim(claims_of(sweep_with(-0.02, 0)), "a").verdict == Verdict::does_not_hold);
  CHECK(claim(claims_of(sweep_with(0.05, -0.01)), "b").verdict == Verdict::does_not_hold);
}

TEST_CASE("one seed decides nothing where the study's own seeds differ by more than the gain") {
  const auto report_of = [](double noise) {
    fixture::SweepTruth truth = sweep_with(0.02, 0);
    truth.seed_noise = noise;
    std::vector<RunLog> logs = fixture::sweep_logs(truth);
    std::erase_if(logs, [](const RunLog& log) {
      return log.facts.at("arm") == "meta_state" && log.facts.at("seed") != "1";
    });
    return analyse(fixture::collection_of(std::move(logs)),
                   {.bootstrap_pairs = 500, .bootstrap_fits = 20, .fit_starts = 50});
  };
  const auto says = [](const Report& report, const std::string& words) {
    return std::any_of(report.notes.begin(), report.notes.end(), [&](const std::string& note) {
      return note.find(words) != std::string::npos;
    });
  };
  const Report quiet = report_of(0.0003), loud = report_of(0.02);
  CHECK(quiet.seed_deviation == known_seed_deviation);
  CHECK(says(quiet, "known from other studies: 0.35 % of the loss"));
  CHECK(claim(quiet.claims, "a").verdict == Verdict::holds);
  CHECK(loud.seed_deviation == Approx(0.02).epsilon(0.5));
  CHECK(says(loud, "this study's cells of several seeds show"));
  CHECK(claim(loud.claims, "a").verdict != Verdict::holds);
}

TEST_CASE("no difference is not decided") {
  fixture::SweepTruth truth = sweep_with(0, 0);
  truth.seed_noise = 0.003;
  CHECK(claim(claims_of(truth), "a").verdict == Verdict::not_decided);
  CHECK_FALSE(claim(claims_of(truth), "a").would_decide.empty());
}

TEST_CASE("two sizes do not decide growth") {
  fixture::SweepTruth truth = sweep_with(0.02, 0.01);
  truth.sizes.resize(2);
  CHECK(claim(claims_of(truth), "b").verdict == Verdict::not_decided);
}

TEST_CASE("a length of two sizes has no say in growth beside one of five") {
  fixture::SweepTruth truth = sweep_with(0.02, 0.01);
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  truth.lengths = {"4xC"}, truth.sizes.resize(2);
  truth.arms[1].gain_growth = -0.05;  // there it shrinks
  for (RunLog& log : fixture::sweep_logs(truth)) logs.push_back(std::move(log));
  const Claim growth = claim(claims_of(std::move(logs)), "b");
  CHECK(growth.verdict == Verdict::holds);
  CHECK(growth.evidence.size() == 2);
}

TEST_CASE("a gain at every size does not hold before every size has its pair") {
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_with(0.02, 0.01));
  for (RunLog& log : logs)
    if (log.facts["size"] == "10M" && log.facts["arm"] == "transformer")
      log.facts["status"] = "running";
  const Claim below = claim(claims_of(std::move(logs)), "a");
  CHECK(below.verdict == Verdict::not_decided);
  CHECK(below.evidence.size() == 4);
  CHECK_THAT(below.would_decide, Catch::Contains("at 1 more of the sizes"));
}

TEST_CASE("a fixed subset of the test set claims nothing") {
  fixture::SweepTruth truth = sweep_with(0.02, 0.01);
  truth.coverage = "64 of 812 windows";
  for (const Claim& each : claims_of(truth)) {
    INFO(each.letter);
    CHECK((each.verdict == Verdict::not_decided || each.verdict == Verdict::no_data));
  }
}

TEST_CASE("claims of studies that have not run say that there are no data") {
  const auto claims = claims_of(sweep_with(0.02, 0));
  for (const char* letter : {"c", "d", "e"})
    CHECK(claim(claims, letter).verdict == Verdict::no_data);
  CHECK(claim(claims_of([] {
                fixture::SweepTruth truth = sweep_with(0, 0);
                truth.arms.pop_back();
                return truth;
              }()),
              "a")
            .verdict == Verdict::no_data);
}

TEST_CASE("claims that compare with a Transformer ask for one where there is none") {
  fixture::SweepTruth truth = sweep_with(0.02, 0);
  truth.arms.erase(truth.arms.begin());
  const auto claims = claims_of(truth);
  for (const char* letter : {"b", "f", "g"}) {
    CHECK(claim(claims, letter).verdict == Verdict::no_data);
    CHECK(claim(claims, letter).would_decide == "matched pairs of meta_state and a Transformer");
  }
}

TEST_CASE("the subject is the arm that reads the state, whatever stands first") {
  fixture::SweepTruth truth = sweep_with(0.02, 0.01);
  truth.arms.insert(truth.arms.begin() + 1, {"control", "meta_state", -0.02, 0});
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  for (RunLog& log : logs)
    log.facts["read_out"] = log.facts["arm"] == "control"      ? "time_mix"
                            : log.facts["arm"] == "meta_state" ? "state"
                                                               : "none";
  const auto claims = claims_of(logs);
  CHECK(claim(claims, "a").verdict == Verdict::holds);
  CHECK(claim(claims, "j").verdict == Verdict::holds);
  for (RunLog& log : logs)
    if (log.facts["arm"] == "control") log.facts["read_out"] = "none";
  CHECK(claim(claims_of(logs), "j").verdict == Verdict::no_data);
  CHECK(claim(claims_of(logs), "a").verdict == Verdict::holds);
}

TEST_CASE("of two arms that read the state, the one that reads the previous one is the subject") {
  fixture::SweepTruth truth = sweep_with(0.02, 0.01);
  truth.arms.insert(truth.arms.begin() + 1, {"current", "meta_state", -0.02, 0});
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  for (RunLog& log : logs) {
    log.facts["read_out"] = log.facts["architecture"] == "meta_state" ? "state" : "none";
    log.facts["read_state"] = log.facts["arm"] == "current" ? "current" : "previous";
  }
  CHECK(claim(claims_of(logs), "a").verdict == Verdict::holds);
}

TEST_CASE("of arms that read the state, the one with the fewest ablated settings is the subject") {
  const auto setting = GENERATE("rho: 0.5", "gamma_init: 0.1");
  fixture::SweepTruth truth = sweep_with(0.02, 0.01);
  truth.arms.insert(truth.arms.begin() + 1, {"ablated", "meta_state", -0.02, 0});
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  for (RunLog& log : logs) {
    log.configuration = "model: {rho: 1, gamma_init: 1}\n";
    if (log.facts["arm"] == "ablated")
      log.configuration = std::string("model: {") + setting + "}\n";
  }
  const auto claims = claims_of(logs);
  CHECK(claim(claims, "a").verdict == Verdict::holds);
  CHECK(claim(claims, "a").text.find("ablation") == std::string::npos);
}

TEST_CASE("claims that only an ablation of the layer can be judged by say so") {
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_with(0.02, 0.01));
  for (RunLog& log : logs)
    if (log.facts["arm"] == "meta_state") log.configuration = "model: {rho: 0.5}\n";
  const auto claims = claims_of(std::move(logs));
  CHECK(claim(claims, "a").verdict == Verdict::holds);
  CHECK_THAT(claim(claims, "a").text,
             Catch::EndsWith("(judged by the ablation meta_state: rho 0.5)"));
  CHECK(claim(claims, "c").text.find("ablation") == std::string::npos);
}

TEST_CASE("no claim is about a model that is not the published one, whatever stands first") {
  fixture::SweepTruth truth = sweep_with(0.02, 0.01);
  truth.arms.insert(truth.arms.begin(), {"doubled", "meta_state", -0.02, 0});
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  CHECK(claim(claims_of(logs), "a").verdict == Verdict::does_not_hold);
  for (RunLog& log : logs)
    if (log.facts["arm"] == "doubled" && log.facts["seed"] == "3")  // one of its seeds is enough
      log.configuration = "model: {doubled_rate: true}\n";
  CHECK(claim(claims_of(logs), "a").verdict == Verdict::holds);
  const Report report = analyse(fixture::collection_of(logs),
                                {.bootstrap_pairs = 50, .bootstrap_fits = 20, .figures = false});
  CHECK(std::count(report.notes.begin(), report.notes.end(),
                   "doubled is not the published model (doubled_rate): no claim is about it.") ==
        1);
}

TEST_CASE("logs without the fact are told apart by the arm's name") {
  fixture::SweepTruth truth = sweep_with(0.02, 0.01);
  truth.arms.insert(truth.arms.begin() + 1, {"time_mix", "meta_state", -0.02, 0});
  CHECK(claim(claims_of(truth), "a").verdict == Verdict::holds);
  CHECK(claim(claims_of(truth), "j").verdict == Verdict::holds);
}

TEST_CASE("in contexts without later positions the short context decides nothing of its own") {
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_with(0.02, 0.01));
  for (RunLog& log : logs) log.evaluations.back().positions.resize(2);  // 0 to 127
  const Claim short_context = claim(claims_of(logs), "f");
  CHECK(short_context.verdict == Verdict::not_decided);
  CHECK(short_context.evidence.size() == 5);
  CHECK_THAT(short_context.would_decide, Catch::Contains("contexts of more than 128 tokens"));
}

TEST_CASE("sizes without a pair keep short context and efficiency from holding") {
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_with(0.02, 0.01));
  for (RunLog& log : logs)
    if (log.facts["size"] == "10M" && log.facts["arm"] == "transformer")
      log.facts["status"] = "running";
  const auto claims = claims_of(std::move(logs));
  for (const char* letter : {"f", "g"}) {
    INFO(letter << ": " << claim(claims, letter).evidence_text());
    CHECK(claim(claims, letter).verdict == Verdict::not_decided);
    CHECK_THAT(claim(claims, letter).would_decide, Catch::Contains("at 1 more of the sizes"));
  }
}

TEST_CASE("a size without a slope of the baseline keeps efficiency from holding") {
  fixture::SweepTruth truth = sweep_with(0.02, 0.01);
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  truth.lengths = {"4xC"}, truth.sizes.resize(1);  // alone at its length
  for (RunLog& log : fixture::sweep_logs(truth)) logs.push_back(std::move(log));
  const Claim found = claim(claims_of(std::move(logs)), "g");
  CHECK(found.evidence.size() == 5);
  CHECK(found.verdict == Verdict::not_decided);
}

TEST_CASE("the numbers of lower loss and of its growth are those of the made-up logs") {
  const double sign = GENERATE(1.0, -1.0);
  const fixture::SweepTruth truth = sweep_with(0.02 * sign, 0.004 * sign);
  const auto claims = claims_of(truth);
  const Claim &below = claim(claims, "a"), &growth = claim(claims, "b");
  CHECK(below.verdict == (sign > 0 ? Verdict::holds : Verdict::does_not_hold));
  CHECK(growth.verdict == (sign > 0 ? Verdict::holds : Verdict::does_not_hold));
  REQUIRE(below.values.size() == truth.sizes.size());
  for (const auto& [size, parameters] : truth.sizes) {
    CAPTURE(size, sign);
    const ClaimValue& value = value_at(below, "relative_gain", size);
    const double gain = 1 - fixture::loss_of(truth, truth.arms[1], parameters) /
                                fixture::loss_of(truth, truth.arms[0], parameters);
    CHECK(value.value == Approx(gain).epsilon(0.15));  // domains gain unlike
    CHECK(holds_value(value.interval, value.value));
    CHECK_FALSE(holds_value(value.interval, 0));
    CHECK((value.arm == "meta_state" && value.against == "transformer"));
    CHECK_THAT(value.runs, Catch::Contains("meta_state-" + size + "-1xC-s3") &&
                               Catch::Contains("transformer-" + size + "-1xC-s1"));
  }
  REQUIRE(growth.values.size() == 1);
  CHECK(growth.values[0].value == Approx(0.004 * sign).epsilon(0.15));
  CHECK(holds_value(growth.values[0].interval, growth.values[0].value));
}

TEST_CASE("the number of short context is that of the first positions, not of the whole") {
  const double more = GENERATE(0.9, 1.1);  // of Meta-State's nats at positions below 128
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_with(0.02, 0));
  for (RunLog& log : logs)
    if (log.facts["arm"] == "meta_state")
      for (PositionRow& row : log.evaluations.back().positions)
        if (row.last < 128) row.nats *= more;
  const auto claims = claims_of(std::move(logs));
  const Claim& found = claim(claims, "f");
  CHECK(found.verdict == (more < 1 ? Verdict::holds : Verdict::does_not_hold));
  CHECK(claim(claims, "a").verdict == Verdict::holds);
  REQUIRE(found.values.size() == 5);
  for (const ClaimValue& value : found.values) {
    CHECK(value.measure == "relative_gain_in_short_context");
    CHECK(value.value == Approx(1 - 0.98 * more).margin(0.003));
    CHECK(holds_value(value.interval, value.value));
  }
}

TEST_CASE("claims without data have no numbers") {
  fixture::SweepTruth truth = sweep_with(0, 0);
  truth.arms.pop_back();
  for (const Claim& each : claims_of(truth)) {
    CAPTURE(each.letter);
    CHECK(each.verdict == Verdict::no_data);
    CHECK(each.values.empty());
    CHECK(each.evidence.empty());
    CHECK_FALSE(each.would_decide.empty());
  }
}
