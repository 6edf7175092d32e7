// Claim (d), question (m), and what runs on probes take no part in.
#include <catch2/catch.hpp>
#include <functional>

#include "analysis/probes.hpp"
#include "analysis/render_html.hpp"
#include "analysis/render_markdown.hpp"
#include "analysis/report.hpp"
#include "analysis/tables.hpp"
#include "tests/analysis/claims_of.hpp"

using namespace metascale;

namespace {

constexpr std::int64_t examples = 500, context = 64;

// What each arm answers, of 1000, in each of two seeds.
struct ProbeTruth {
  std::string size, task, probe;
  std::map<std::string, std::vector<std::int64_t>> correct;
};

RunLog probe_log(const fixture::SweepTruth& sweep, const fixture::ArmTruth& arm,
                 const ProbeTruth& truth, int seed) {
  RunLog log = fixture::run_log(sweep, arm, {truth.size, 1e6}, "1xC", seed);
  log.facts["probe_task"] = truth.task, log.facts["probe"] = truth.probe;
  log.facts["context"] = std::to_string(context), log.facts["layers"] = "2";
  const std::int64_t correct = truth.correct.at(arm.arm)[std::size_t(seed - 1)];
  log.evaluations.back().probes = {{context, 0, 63, 1000, correct, 1, examples, 0}};
  return log;
}

const std::vector<std::int64_t> solved{999, 1000}, guessed{200, 210};

ProbeTruth swaps(std::vector<std::int64_t> meta_state, std::vector<std::int64_t> transformer) {
  return {"swaps",
          "s5_swaps",
          "task=s5_swaps",
          {{"transformer", transformer}, {"rwkv7", solved}, {"meta_state", meta_state}}};
}
ProbeTruth recall(int pairs, std::vector<std::int64_t> meta_state = guessed,
                  std::vector<std::int64_t> transformer = solved) {
  return {"recall" + (pairs == 4 ? "" : std::to_string(pairs)),
          "mqar",
          "task=mqar vocabulary=256 pairs=" + std::to_string(pairs) + " power=0.01",
          {{"transformer", transformer}, {"rwkv7", guessed}, {"meta_state", meta_state}}};
}

std::vector<RunLog> probe_logs(const std::vector<ProbeTruth>& truths, int seeds = 2) {
  fixture::SweepTruth sweep;
  sweep.steps = 10, sweep.documents = 12;
  std::vector<RunLog> logs;
  for (const ProbeTruth& truth : truths)
    for (const fixture::ArmTruth& arm : sweep.arms)
      for (int seed = 1; seed <= seeds; ++seed) logs.push_back(probe_log(sweep, arm, truth, seed));
  return logs;
}

Report report_on(std::vector<RunLog> logs) {
  const ReportOptions options{
      .bootstrap_pairs = 100, .bootstrap_fits = 20, .fit_starts = 100, .figures = false};
  return analyse(fixture::collection_of(std::move(logs)), options);
}

const Claim& claim(const Report& report, const std::string& letter) {
  return fixture::claim(report.claims, letter);
}

}  // namespace

TEST_CASE("state tracking holds where Meta-State solves what the Transformer does not") {
  const Report report = report_on(probe_logs({swaps(solved, guessed), recall(4)}));
  const Claim& found = claim(report, "d");
  CHECK(found.verdict == Verdict::holds);
  CHECK(found.would_decide.empty());
  CHECK_THAT(found.evidence_text(), Catch::Contains("swaps, 64 tokens"));
  CHECK_THAT(found.evidence_text(), Catch::Contains("100.0 % [") && Catch::Contains("20.5 % ["));
}

TEST_CASE("state tracking does not hold where Meta-State answers less than the Transformer") {
  const Report report = report_on(probe_logs({swaps(guessed, solved), recall(4)}));
  CHECK(claim(report, "d").verdict == Verdict::does_not_hold);
}

TEST_CASE("state tracking is not decided where both solve it, or neither does") {
  for (const auto& share : {solved, guessed}) {
    const Report report = report_on(probe_logs({swaps(share, share), recall(4)}));
    CHECK(claim(report, "d").verdict == Verdict::not_decided);
    CHECK_THAT(claim(report, "d").would_decide, Catch::Contains("more seeds"));
  }
}

TEST_CASE("more right answers without a solution do not decide state tracking") {
  const Report report = report_on(probe_logs({swaps({600, 601}, guessed), recall(4)}));
  CHECK(claim(report, "d").verdict == Verdict::not_decided);
}

TEST_CASE("one seed decides no state tracking") {
  const Report report = report_on(probe_logs({swaps(solved, guessed), recall(4)}, 1));
  CHECK(claim(report, "d").verdict == Verdict::not_decided);
}

TEST_CASE("groups that attention can follow do not decide state tracking") {
  ProbeTruth solvable = swaps(solved, guessed);
  solvable.task = "s3", solvable.probe = "task=s3";
  const Report report = report_on(probe_logs({solvable, recall(4)}));
  CHECK(claim(report, "d").verdict == Verdict::not_decided);
  CHECK_THAT(claim(report, "d").would_decide, Catch::Contains("not solvable"));
}

TEST_CASE("without positive controls there are no data: not trained enough") {
  ProbeTruth untrained = swaps(solved, guessed);
  untrained.correct["rwkv7"] = {980, 999};  // 98.95 % on average
  const Report low = report_on(probe_logs({untrained, recall(4)}));
  CHECK(claim(low, "d").verdict == Verdict::no_data);
  CHECK_THAT(claim(low, "d").would_decide, Catch::Contains("not trained enough: RWKV-7") &&
                                               Catch::Contains("reaches 99.0 %") &&
                                               !Catch::Contains("Transformer on MQAR"));
  CHECK_FALSE(claim(low, "d").evidence.empty());
  const Report other = report_on(probe_logs({swaps(solved, guessed), recall(8)}));
  CHECK(claim(other, "d").verdict == Verdict::no_data);
  CHECK_THAT(claim(other, "d").would_decide,
             Catch::Contains("a Transformer on MQAR (64, 4) has not run"));
}

TEST_CASE("a doubled rate is no positive control") {
  std::vector<RunLog> logs = probe_logs({swaps(solved, guessed), recall(4)});
  for (RunLog& log : logs)
    if (log.facts["arm"] == "rwkv7") log.configuration = "model:\n  doubled_rate: true\n";
  CHECK(claim(report_on(std::move(logs)), "d").verdict == Verdict::no_data);
}

TEST_CASE("a difference of accuracies is paired by seed and no narrower than its examples allow") {
  const Report report = report_on(probe_logs({swaps({700, 800}, {600, 700})}));
  const auto found = probe_differences(report, "meta_state", "transformer");
  REQUIRE(found.size() == 1);
  CHECK(found[0].seeds == 2);
  CHECK(found[0].difference.value == Approx(0.1));
  // The seeds differ by nothing: what is left is the noise of 500 examples, twice.
  const double half = 1.96 * std::sqrt(0.3 * 0.7 / 500 + 0.4 * 0.6 / 500);
  CHECK(found[0].difference.interval.low == Approx(0.1 - half).margin(0.01));
  CHECK(found[0].difference.interval.high == Approx(0.1 + half).margin(0.01));
  CHECK(found[0].subject_accuracy.interval.low < 0.6);  // Student's t with one degree of freedom
}

TEST_CASE("recall holds where Meta-State answers as much as the Transformer at every load") {
  const Report report = report_on(probe_logs({recall(4, solved), recall(8, solved)}));
  const Claim& found = claim(report, "m");
  INFO(found.evidence_text());
  CHECK(found.verdict == Verdict::holds);
  CHECK(found.would_decide.empty());
  CHECK_THAT(found.text, Catch::Contains("not the paper's") && Catch::Contains("up to 8 pairs"));
  CHECK_THAT(found.evidence_text(), Catch::Contains("recall8, 8 pairs in 64 tokens: meta_state") &&
                                        Catch::Contains("recall8, 8 pairs in 64 tokens: rwkv7"));
  CHECK(found.values.size() == 2 * 2 * 3);  // loads, arms beside the Transformer, numbers
}

TEST_CASE("recall does not hold where a load is above Meta-State and not above the Transformer") {
  const Report report = report_on(probe_logs({recall(4, solved), recall(8, guessed)}));
  CHECK(claim(report, "m").verdict == Verdict::does_not_hold);
  CHECK(claim(report, "m").would_decide.empty());
}

TEST_CASE("recall is not decided by one load, by one seed, by guesses, or within an interval") {
  const Report one_load = report_on(probe_logs({recall(4, solved)}));
  CHECK(claim(one_load, "m").verdict == Verdict::not_decided);
  CHECK_THAT(claim(one_load, "m").would_decide, Catch::Contains("two numbers of pairs"));
  const Report one_seed = report_on(probe_logs({recall(4, solved), recall(8, guessed)}, 1));
  CHECK(claim(one_seed, "m").verdict == Verdict::not_decided);
  const Report guesses = report_on(probe_logs({recall(4, solved), recall(8, {10, 10}, guessed)}));
  CHECK(claim(guesses, "m").verdict == Verdict::not_decided);
  const Report near = report_on(probe_logs({recall(4, solved), recall(8, {960, 999})}));
  INFO(claim(near, "m").evidence_text());
  CHECK(claim(near, "m").verdict == Verdict::not_decided);
  CHECK_THAT(claim(near, "m").would_decide, Catch::Contains("more seeds"));
}

TEST_CASE("recall without its positive control has no data: not trained enough") {
  const Report low = report_on(probe_logs({recall(4, solved, {980, 990}), recall(8, solved)}));
  CHECK(claim(low, "m").verdict == Verdict::no_data);
  CHECK_THAT(claim(low, "m").would_decide,
             Catch::Contains("not trained enough: a Transformer on MQAR (64, 4) reaches 98.5 %"));
  CHECK_FALSE(claim(low, "m").evidence.empty());
  const Report none = report_on(probe_logs({swaps(solved, guessed)}));
  CHECK(claim(none, "m").verdict == Verdict::no_data);
  CHECK(claim(none, "m").evidence.empty());
}

TEST_CASE("probes enter no comparison of losses, no law and no claim but d and m") {
  fixture::SweepTruth truth;
  truth.sizes.resize(3), truth.seeds = 2, truth.steps = 10, truth.documents = 60;
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  const Report texts = report_on(logs);
  for (RunLog& log : probe_logs({swaps(solved, guessed), recall(4)})) logs.push_back(log);
  const Report both = report_on(logs);
  CHECK(both.pairs.size() == texts.pairs.size());
  CHECK(both.cells.size() == texts.cells.size());
  CHECK(both.fits.size() == texts.fits.size());
  CHECK(both.matching.refused.size() == texts.matching.refused.size());
  for (const char* letter : {"a", "b", "f", "g"})
    CHECK(claim(both, letter).evidence_text() == claim(texts, letter).evidence_text());
  CHECK(both.sizes() == texts.sizes());
  CHECK(claim(both, "d").verdict == Verdict::holds);
  CHECK_THAT(render_markdown(both), Catch::Contains("12 runs are on probes, not on a text"));
}

TEST_CASE("a sweep of probes alone shows its tables, claims d and m, and no data for others") {
  const Report report = report_on(probe_logs({swaps(solved, guessed), recall(4)}));
  for (const Claim& each : report.claims) {
    INFO(each.letter);
    CHECK(each.verdict == (each.letter == "d"   ? Verdict::holds
                           : each.letter == "m" ? Verdict::does_not_hold
                                                : Verdict::no_data));
  }
  CHECK(comparison_table(report).rows.empty());
  const std::string page = render_html(report);
  for (const char* key : {"probes", "probe_depths", "probe_differences"})
    CHECK_THAT(page, Catch::Contains("table-" + std::string(key)));
  CHECK(page.find("No run is done yet") == std::string::npos);
  CHECK(probe_differences_table(report).rows.size() == 3 * 2);
}

TEST_CASE("to be behind an arm that does not track either is a difference of guesses") {
  const Report report = report_on(probe_logs({swaps({10, 10}, {300, 300}), recall(4)}));
  const auto found = probe_differences(report, "meta_state", "transformer");
  REQUIRE_FALSE(found.empty());
  REQUIRE(found[0].difference.interval.high < 0);
  CHECK(claim(report, "d").verdict == Verdict::not_decided);
}

TEST_CASE("controls of another size, or trained on more tokens, do not speak for a cell") {
  const auto change =
      GENERATE(std::function<void(RunLog&)>([](RunLog& log) { log.facts["layers"] = "8"; }),
               std::function<void(RunLog&)>([](RunLog& log) {
                 for (StepRow& row : log.steps) row.tokens *= 2;
               }));
  std::vector<RunLog> logs = probe_logs({swaps(solved, guessed), recall(4)});
  for (RunLog& log : logs)
    if (log.facts["size"] == "recall") change(log);
  const Claim found = claim(report_on(std::move(logs)), "d");
  CHECK(found.verdict == Verdict::no_data);
  CHECK_THAT(found.would_decide,
             Catch::Contains("has not run at the size and with the tokens of swaps"));
}

TEST_CASE("a control that needed fewer tokens speaks for a cell of its size") {
  std::vector<RunLog> logs = probe_logs({swaps(solved, guessed), recall(4)});
  for (RunLog& log : logs)
    if (log.facts["size"] == "recall")
      for (StepRow& row : log.steps) row.tokens /= 2;
  CHECK(claim(report_on(std::move(logs)), "d").verdict == Verdict::holds);
}

TEST_CASE("the numbers of state tracking and of recall are the shares that were answered") {
  const bool ahead = GENERATE(true, false);
  const std::vector<std::int64_t> mine = ahead ? solved : guessed,
                                  theirs = ahead ? guessed : solved;
  const Report report = report_on(probe_logs({swaps(mine, theirs), recall(4), recall(8, mine)}));
  const double first = ahead ? 0.9995 : 0.205, second = ahead ? 0.205 : 0.9995;
  const Claim& tracking = claim(report, "d");
  CHECK(tracking.verdict == (ahead ? Verdict::holds : Verdict::does_not_hold));
  REQUIRE(tracking.values.size() == 2 * 3 + 3);  // also of both recalls, which decide nothing here
  const auto value = [&](const char* measure) -> const ClaimValue& {
    return fixture::value_at(tracking, measure, "swaps");
  };
  const ClaimValue& own = value("accuracy_on_s5_swaps_at_64_tokens");
  CHECK((own.arm == "meta_state" && own.against.empty()));
  CHECK(own.value == Approx(first));
  CHECK(fixture::holds_value(own.interval, first));
  const ClaimValue& gain = value("accuracy_gain_on_s5_swaps_at_64_tokens");
  CHECK((gain.arm == "meta_state" && gain.against == "transformer"));
  CHECK(gain.value == Approx(first - second));
  CHECK(fixture::holds_value(gain.interval, first - second));
  CHECK_FALSE(fixture::holds_value(gain.interval, 0));
  CHECK_THAT(gain.runs, Catch::Contains("meta_state-swaps-1xC-s2") &&
                            Catch::Contains("transformer-swaps-1xC-s1"));
  const Claim& recalls = claim(report, "m");
  CHECK(recalls.verdict == Verdict::does_not_hold);  // by the first load
  CHECK(fixture::value_at(recalls, "accuracy_gain_on_mqar_at_64_tokens", "recall").value ==
        Approx(0.205 - 0.9995));
  CHECK(fixture::value_at(recalls, "accuracy_on_mqar_at_64_tokens", "recall8").value ==
        Approx(first));
}

TEST_CASE("state tracking that was not trained enough has its numbers and no verdict") {
  const Report report = report_on(probe_logs({swaps(solved, guessed)}));
  const Claim& found = claim(report, "d");
  CHECK(found.verdict == Verdict::no_data);
  CHECK(fixture::value_at(found, "accuracy_gain_on_s5_swaps_at_64_tokens").value ==
        Approx(0.9995 - 0.205));
  CHECK(claim(report_on({}), "d").values.empty());
}
