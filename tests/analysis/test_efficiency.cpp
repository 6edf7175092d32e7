#include <catch2/catch.hpp>
#include <cmath>

#include "tests/analysis/claims_of.hpp"

using namespace metascale;
using fixture::claim;
using fixture::claims_of;
using fixture::evidence_at;

namespace {

// Meta-State's loss is 2 % lower, and its steps take as long as the Transformer's.
fixture::SweepTruth sweep_of_two() {
  fixture::SweepTruth truth;
  truth.arms = {{"transformer", "transformer", 0, 0}, {"meta_state", "meta_state", 0.02, 0.01}};
  truth.steps = 10, truth.documents = 60, truth.seed_noise = 0.0003;
  return truth;
}

void slow_down(std::vector<RunLog>& logs, const std::string& part_of_id, double factor) {
  int changed = 0;
  for (RunLog& log : logs)
    if (log.run_id.find(part_of_id) == 0) {
      for (StepRow& row : log.steps) row.seconds *= factor;
      ++changed;
    }
  REQUIRE(changed > 0);
}

Claim efficiency(std::vector<RunLog> logs) { return claim(claims_of(std::move(logs)), "g"); }

struct Widths {
  double flops = 0, hours = 0;
};
Widths widths_at(const Claim& claim, const std::string& place) {
  const std::vector<double> found = fixture::numbers_in(evidence_at(claim, place));
  REQUIRE(found.size() == 6);
  return {found[2] - found[1], found[5] - found[4]};
}

}  // namespace

TEST_CASE("hours on unlike devices decide no efficiency") {
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_of_two());
  for (RunLog& log : logs)
    if (log.facts["arm"] == "meta_state") log.facts["threads"] = "4";
  const auto claims = claims_of(logs);
  CHECK(claim(claims, "g").verdict == Verdict::not_decided);
  CHECK_THAT(claim(claims, "g").would_decide, Catch::Contains("the same device"));
}

TEST_CASE("efficiency is judged by losses at equal FLOPs and at equal hours") {
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_of_two());
  const Claim fast = claim(claims_of(logs), "g");
  CHECK(fast.verdict == Verdict::holds);
  CHECK_THAT(fast.evidence_text(),
             Catch::Contains("at equal FLOPs +") && Catch::Contains("at equal hours +"));
  for (RunLog& log : logs)  // much slower: what it gains by FLOPs it loses by hours
    if (log.facts["arm"] == "meta_state")
      for (StepRow& row : log.steps) row.seconds *= 4;
  CHECK(claim(claims_of(logs), "g").verdict == Verdict::does_not_hold);
}

TEST_CASE("a seed that ran on a slowed machine leaves the hours without a say") {
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_of_two());
  slow_down(logs, "meta_state-3M-1xC-s2", 12);
  const Claim found = efficiency(logs);
  CHECK(found.verdict == Verdict::not_decided);
  CHECK_THAT(evidence_at(found, "3M"),
             Catch::Contains("at equal FLOPs +") &&
                 Catch::Contains("hours not comparable: those of the seeds differ by 12 times"));
  CHECK_THAT(evidence_at(found, "10M"), Catch::Contains("at equal hours +"));
  CHECK_THAT(found.would_decide, Catch::Contains("within 1.3 times"));
}

TEST_CASE("steps that a busy machine held up do not count as hours") {
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_of_two());
  const Claim before = efficiency(logs);
  for (RunLog& log : logs)
    if (log.facts["arm"] == "meta_state" && log.facts["seed"] == "2")
      for (std::size_t i = 0; i < 4; ++i) log.steps[i].seconds *= 1000;
  CHECK(efficiency(logs).verdict == Verdict::holds);
  CHECK(efficiency(logs).evidence_text() == before.evidence_text());
}

TEST_CASE("how far the seeds' hours differ widens the interval") {
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_of_two());
  const Widths before = widths_at(efficiency(logs), "3M");
  slow_down(logs, "meta_state-3M-1xC-s2", 1.25);
  const Widths after = widths_at(efficiency(logs), "3M");
  CHECK(before.hours == Approx(before.flops).margin(0.02));
  CHECK(after.flops == Approx(before.flops).margin(0.02));
  CHECK(after.hours > before.hours + 1);  // per cent
}

TEST_CASE("one seed has the hours vary by what is allowed between seeds") {
  fixture::SweepTruth truth = sweep_of_two();
  truth.seeds = 1;
  const Widths found = widths_at(efficiency(fixture::sweep_logs(truth)), "3M");
  CHECK(found.hours > found.flops + 0.3);
}

TEST_CASE("a noisy size of the baseline makes the slope at its neighbours uncertain") {
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_of_two());
  slow_down(logs, "meta_state-", 1.5);  // so that there is something to correct
  const Widths before = widths_at(efficiency(logs), "3M");
  for (RunLog& log : logs)
    if (log.facts["arm"] == "transformer" && log.facts["size"] == "1M")
      for (SegmentRow& segment : log.evaluations.back().segments)
        segment.nats *= log.facts["seed"] == "2" ? 1.06 : 0.97;
  for (RunLog& log : logs) {
    Evaluation& last = log.evaluations.back();
    last.nats = 0;
    for (const SegmentRow& segment : last.segments) last.nats += segment.nats;
  }
  const Widths after = widths_at(efficiency(logs), "3M");
  CHECK(after.flops == Approx(before.flops).margin(0.02));
  CHECK(after.hours > before.hours + 0.3);
}

TEST_CASE("a branch's hours are its steps' and its trunk's, each at its own speed") {
  std::vector<RunLog> logs = fixture::sweep_logs(sweep_of_two());
  std::vector<RunLog> trunks;
  for (RunLog& log : logs) {
    if (log.facts["arm"] != "meta_state" || log.facts["size"] != "3M") continue;
    RunLog trunk = log;  // the first eight steps, four times as slow
    trunk.run_id += "-trunk", trunk.facts["role"] = "trunk";
    trunk.steps.resize(8);
    for (StepRow& row : trunk.steps) row.seconds *= 4;
    log.facts["parent"] = trunk.run_id, log.facts["parent_step"] = "8";
    log.steps.erase(log.steps.begin(), log.steps.begin() + 8);
    trunks.push_back(trunk);
  }
  const std::string place = "3M";
  CHECK(fixture::numbers_in(evidence_at(efficiency(logs), place)).size() == 3);  // no hours
  const auto hours = [&](std::vector<RunLog> all) {
    return fixture::numbers_in(evidence_at(efficiency(std::move(all)), place)).at(3);
  };
  std::vector<RunLog> slow = fixture::sweep_logs(sweep_of_two());
  slow_down(slow, "meta_state-3M", (8 * 4 + 2) / 10.0);
  logs.insert(logs.end(), trunks.begin(), trunks.end());
  CHECK(hours(logs) == Approx(hours(slow)).margin(0.02));
}

TEST_CASE("gains at equal cost are the plain gain, less what the baseline's slope gives the cost") {
  const double slower = GENERATE(1.0, 1.1, 8.0);
  const fixture::SweepTruth truth = sweep_of_two();
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  slow_down(logs, "meta_state-", slower);
  const Claim found = efficiency(std::move(logs));
  CHECK(found.verdict == (slower > 2 ? Verdict::does_not_hold : Verdict::holds));
  const auto loss = [&](std::size_t arm, std::size_t size) {
    return fixture::loss_of(truth, truth.arms[arm], truth.sizes[size].second);
  };
  for (std::size_t size = 1; size + 1 < truth.sizes.size(); ++size) {
    const std::string& name = truth.sizes[size].first;
    CAPTURE(name, slower);
    const double gain = 1 - loss(1, size) / loss(0, size);
    const double slope =
        std::log(loss(0, size + 1) / loss(0, size - 1)) /  // FLOPs go as N^2
        (2 * std::log(truth.sizes[size + 1].second / truth.sizes[size - 1].second));
    const ClaimValue& flops = fixture::value_at(found, "relative_gain_at_equal_flops", name);
    const ClaimValue& hours = fixture::value_at(found, "relative_gain_at_equal_hours", name);
    CHECK(flops.value == Approx(gain).epsilon(0.15));
    CHECK(hours.value - flops.value == Approx(slope * std::log(slower)).margin(0.001));
    CHECK(fixture::holds_value(flops.interval, flops.value));
    CHECK(fixture::holds_value(hours.interval, hours.value));
  }
}
