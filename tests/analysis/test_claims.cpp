#include <catch2/catch.hpp>

#include "analysis/claims.hpp"
#include "analysis/report.hpp"
#include "tests/support/analysis_fixture.hpp"

using namespace metascale;

namespace {

std::vector<Claim> claims_of(std::vector<RunLog> logs) {
  const ReportOptions options{.bootstrap_pairs = 1000, .bootstrap_fits = 100, .figures = false};
  return analyse(fixture::collection_of(std::move(logs)), options).claims;
}
std::vector<Claim> claims_of(const fixture::SweepTruth& truth) {
  return claims_of(fixture::sweep_logs(truth));
}

fixture::SweepTruth sweep_with(double gain, double growth) {
  fixture::SweepTruth truth;
  truth.arms = {{"transformer", "transformer", 0, 0}, {"meta_state", "meta_state", gain, growth}};
  truth.steps = 10, truth.documents = 60, truth.seed_noise = 0.0003;
  return truth;
}

const Claim& claim(const std::vector<Claim>& claims, const std::string& letter) {
  for (const Claim& candidate : claims)
    if (candidate.letter == letter) return candidate;
  throw std::runtime_error("no claim " + letter);
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
  CHECK_THROWS(claim(claims_of(logs), "j"));
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

TEST_CASE("logs without the fact are told apart by the arm's name") {
  fixture::SweepTruth truth = sweep_with(0.02, 0.01);
  truth.arms.insert(truth.arms.begin() + 1, {"time_mix", "meta_state", -0.02, 0});
  CHECK(claim(claims_of(truth), "a").verdict == Verdict::holds);
  CHECK(claim(claims_of(truth), "j").verdict == Verdict::holds);
}

TEST_CASE("hours on unlike devices decide no efficiency") {
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_with(0.02, 0.01));
  for (RunLog& log : logs)
    if (log.facts["arm"] == "meta_state") log.facts["threads"] = "4";
  const auto claims = claims_of(logs);
  CHECK(claim(claims, "g").verdict == Verdict::not_decided);
  CHECK_THAT(claim(claims, "g").would_decide, Catch::Contains("the same device"));
}

TEST_CASE("efficiency is judged by losses at equal FLOPs and at equal hours") {
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_with(0.02, 0.01));
  const Claim fast = claim(claims_of(logs), "g");
  CHECK(fast.verdict == Verdict::holds);
  CHECK_THAT(fast.evidence_text(),
             Catch::Contains("at equal FLOPs +") && Catch::Contains("at equal hours +"));
  for (RunLog& log : logs)  // much slower: what it gains by FLOPs it loses by hours
    if (log.facts["arm"] == "meta_state")
      for (StepRow& row : log.steps) row.seconds *= 4;
  CHECK(claim(claims_of(logs), "g").verdict == Verdict::does_not_hold);
}

TEST_CASE("a grown run is judged against one from scratch of its size and compute") {
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_with(0.02, 0.01));
  const auto last = std::find_if(logs.rbegin(), logs.rend(),
                                 [](RunLog& log) { return log.facts["arm"] == "meta_state"; });
  RunLog grown = *last;
  grown.run_id = "grown", grown.facts["size"] = "derived";
  grown.facts["parent"] = logs.front().run_id, grown.facts["parent_step"] = "400";
  grown.facts["lineage"] = "small to step 400, grown";
  for (SegmentRow& segment : grown.evaluations.back().segments) segment.nats *= 0.95;
  logs.push_back(grown);
  CHECK(claim(claims_of(logs), "e").verdict == Verdict::holds);
  for (SegmentRow& segment : logs.back().evaluations.back().segments) segment.nats *= 1.1;
  CHECK(claim(claims_of(logs), "e").verdict == Verdict::does_not_hold);
  logs.back().facts["parameters"] = "1";  // none from scratch is as small
  CHECK(claim(claims_of(logs), "e").verdict == Verdict::no_data);
}
